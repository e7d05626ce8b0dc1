"""Numbers and lists in words, for sentences that people read."""

from __future__ import annotations

import html
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any


def format_bytes(number: int) -> str:
    """A size in the unit that fits it.

    >>> format_bytes(900), format_bytes(3 * 2**20), format_bytes(5 * 2**30)
    ('1 KiB', '3.0 MiB', '5.0 GiB')
    """
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{-(-number // 1024)} KiB"


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "block"), count(0, "block"), count(1200, "image"), count(6, "class")
    ('1 block', '0 blocks', '1,200 images', '6 classes')
    """
    ending = "es" if noun.endswith(("s", "x", "sh", "tch")) else "s"
    return f"{number:,} {noun}{'' if number == 1 else ending}"


def shell_command(verb: str, *words: object) -> str:
    """A command of normlab to be pasted into a shell, its words quoted where they need it.

    >>> shell_command("run", "my study", "--blocks", 5)
    "normlab run 'my study' --blocks 5"
    """
    return shlex.join(["normlab", verb, *map(str, words)])


def join(names: Sequence[str]) -> str:
    """A list in words.

    >>> join(["bn", "gn", "ln"])
    'bn, gn and ln'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def format_seconds(seconds: float) -> str:
    """A duration in the unit that fits it.

    >>> format_seconds(59), format_seconds(150), format_seconds(5400)
    ('59 s', '2.5 min', '1.5 h')
    """
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        minutes = seconds / 60
        return f"{minutes:.1f} min" if minutes < 9.95 else f"{minutes:.0f} min"
    return f"{seconds / 3600:.1f} h"


def visible(text: str, *, lines: bool = False) -> str:
    r"""Text of others, made safe to print: the one gate before a terminal, page, chart or table.

    Names of folders, files and classes may hold characters that are not seen and act: they ring or
    clear a terminal, end a line, turn the direction of what follows, or end a drawing library.
    Each is written as its escape:

    - controls (category Cc), and lone surrogates (Cs), which stand for bytes that are no UTF-8;
    - the embeddings and overrides of the bidirectional algorithm (UAX #9, 2.1 and 2.2), and
      isolates where they are not closed; a pair of FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE
      around a name is what `isolated` puts there;
    - the line and paragraph separators U+2028 and U+2029, and the tag characters U+E0000 to E007F.

    Args:
        text: any text.
        lines: whether its line ends and tabs are its own, as in a text of several lines.

    >>> visible("a\x07b"), visible("two\nlines"), visible("Möwe 1"), visible("\u202egpj.exe")
    ('a\\x07b', 'two\\nlines', 'Möwe 1', '\\u202egpj.exe')
    """
    if text.isprintable():  # controls, formats and surrogates are not
        return text
    closed = text.count(_ISOLATE) == text.count(_END_OF_ISOLATE)
    return "".join(
        letter
        if letter.isprintable()
        or (lines and letter in "\n\t")
        or (closed and letter in (_ISOLATE, _END_OF_ISOLATE))
        or not _acts(letter)
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


def in_markup(text: str, *, lines: bool = False) -> str:
    r"""Text of others as it stands in HTML or SVG, in an attribute too: `visible` and escaped.

    >>> in_markup("<b>\x07")
    '&lt;b&gt;\\x07'
    """
    return html.escape(visible(text, lines=lines))


_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SEPARATORS = frozenset("\u2028\u2029")


def _acts(letter: str) -> bool:
    """Whether a letter that is not printable does more than join or part its neighbours."""
    if letter in _TURNS or letter in _SEPARATORS or "\U000e0000" <= letter <= "\U000e007f":
        return True
    return unicodedata.category(letter) in ("Cc", "Cs")


def isolated(name: str) -> str:
    r"""A name for a line of text: one that is written from right to left does not turn the line.

    It is put between FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (Unicode UAX #9).

    >>> isolated("bn"), isolated("\u05d0\u05d1") == "\u2068\u05d0\u05d1\u2069"
    ('bn', True)
    """
    from_right = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in name)
    return f"{_ISOLATE}{name}{_END_OF_ISOLATE}" if from_right else name


def visible_data(value: Any) -> Any:
    r"""`visible` for every text in lists, tuples and dicts, keys too; all else is passed on.

    >>> visible_data({"cl\x07ass": ["a\nb", 1]})
    {'cl\\x07ass': ['a\nb', 1]}
    """
    if isinstance(value, str):
        return visible(value, lines=True)
    if isinstance(value, Mapping):
        return {visible_data(key): visible_data(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [visible_data(one) for one in value]
    return value


_FORMULA = frozenset("=+-@\t\r")


def formula_safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: with an apostrophe in front, if need be.

    >>> formula_safe("=cmd()"), formula_safe("bn")
    ("'=cmd()", 'bn')
    """
    return "'" + text if text[:1] in _FORMULA else text


def table_cell(text: str, *, lines: bool = False) -> str:
    r"""Foreign text for a cell of a CSV file: in it nothing acts, in a spreadsheet or unseen.

    Args:
        text: what it says.
        lines: whether ends of lines and tabs stay.

    >>> table_cell("=cmd()"), table_cell("a\x07b")
    ("'=cmd()", 'a\\x07b')
    """
    return formula_safe(visible(text, lines=lines))


def without_apostrophe(cell: str) -> str:
    """A cell as it was before `formula_safe`.

    >>> without_apostrophe("'=cmd()"), without_apostrophe("'tis")
    ('=cmd()', "'tis")
    """
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell
