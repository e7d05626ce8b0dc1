"""Numbers as papers print them: `94.60 ± .21`, `0,9460`, `1,013.01`, `93.5†`, `24.96/7.85`."""

from __future__ import annotations

import re
from dataclasses import dataclass

MINUS_SIGNS = "−–—‒‐‑﹣－"
MISSING = frozenset(
    {"", "-", "--", "---", "n/a", "na", "nan", "none", "todo", "tbd", "x", "?", "/"}
)
_MARKS = re.compile(
    r"\\?[*†‡§¶✝#]+"  # footnote signs
    r"|[ᵃ-ᵿ⁰¹²³⁴-⁹]+"  # raised letters and digits
    r"|\[\^?\w{1,3}\]_?"  # [1], [^a], [1]_
    r"|\^\{?[a-z*†‡]\}?"  # ^a
)
_NUMBER = (
    r"[+-]?(?:\d{1,3}(?:[,'’\u2009\u00a0\u202f ]\d{3})+(?:[.,]\d+)?|\d{1,3}(?:\.\d{3})+,\d+"
    r"|\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?"
)
_CELL = re.compile(
    rf"(?P<about>~|≈|≃|<|>|≤|≥|∼|ca\.?|about)?\s*(?P<value>{_NUMBER})\s*(?P<percent>%)?"
    rf"(?P<concise>\(\d{{1,3}}\))?\s*"
    rf"(?:(?:±|\+\s?/\s?-|\+-)\s*(?P<spread>{_NUMBER})\s*%?)?\s*"
    r"(?P<rest>[(\[{].*[)\]}]|[↑↓▲▼⬆⬇].*)?\s*"
)
_ASIDE = re.compile(rf"[(\[{{]\s*(?:±\s*)?(?P<value>{_NUMBER})\s*%?\s*[)\]}}]")
_INTERVAL = re.compile(rf"[(\[{{]\s*{_NUMBER}\s*%?\s*[,;–-]\s*{_NUMBER}\s*%?\s*[)\]}}]")


@dataclass(frozen=True)
class Printed:
    """A number as it was printed, before anybody says whether it is a share or per cent."""

    text: str
    value: float
    decimals: int
    """Digits behind the point."""
    percent: bool
    """Whether a per cent sign stands beside it."""
    spread: bool
    """Whether a spread or an interval over something stands beside it."""
    aside: bool
    """Whether a second number stands beside it in brackets, of which nobody says what it is."""
    exact: bool
    """False for "about 70" and "< 0.1"."""


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no number.

    >>> [is_missing(text) for text in ("–", "n/a", "0")]
    [True, True, False]
    """
    plain = text.strip().lower().strip("()*†‡")
    return "".join("-" if sign in MINUS_SIGNS else sign for sign in plain) in MISSING


def uses_decimal_commas(texts: list[str]) -> bool:
    """Whether the commas of these cells are decimal points.

    They are if no cell has a point between digits, for no accuracy and no loss is a thousand.
    """
    plain = [_plain(text) for text in texts]
    if any(re.search(r"\d\.\d", text) for text in plain):
        return False
    return any(re.search(r",\d", text) for text in plain)


def parse_cell(text: str, *, decimal_comma: bool = False) -> tuple[Printed | None, ...]:
    """The number of a cell, several where slashes part them, none where it holds something else.

    Of several, one may be missing: `25.0/–` gives a number and None.

    >>> [(n.value, n.decimals) for n in parse_cell("24.96/7.85") if n]
    [(24.96, 2), (7.85, 2)]
    >>> [n.value for n in parse_cell("−0,46 ± 0,02", decimal_comma=True) if n]
    [-0.46]
    >>> parse_cell("ResNet-18"), parse_cell("8×32")
    ((), ())
    """
    plain = _plain(text)
    pieces = plain.split("/") if not re.search(r"\+\s?/\s?-", plain) else [plain]
    numbers = [_parse(piece.strip(), decimal_comma) for piece in pieces]
    if any(n is None and not is_missing(p) for n, p in zip(numbers, pieces, strict=True)):
        return ()
    return tuple(numbers) if any(number is not None for number in numbers) else ()


def _plain(text: str) -> str:
    text = re.sub(r"\s*[×x·]\s*10\^?\{?([⁻−-]?)([⁰¹²³⁴-⁹\d]+)\}?", _exponent, text)
    text = _MARKS.sub("", text.strip().replace("％", "%"))
    return re.sub(rf"[{MINUS_SIGNS}](?=\s*[\d.,])", "-", text).strip()


def _exponent(match: re.Match[str]) -> str:
    digits = match[2].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789"))
    return f"e{'-' if match[1] else ''}{digits}"


def _parse(text: str, decimal_comma: bool) -> Printed | None:
    match = _CELL.fullmatch(text)
    if match is None:
        return None
    digits = _with_point(match["value"], decimal_comma)
    if digits is None:
        return None
    rest = match["rest"] or ""
    aside = _ASIDE.fullmatch(rest)
    signed = aside is not None and aside["value"][0] in "+-"
    spread = bool(match["spread"] or match["concise"] or "±" in rest or _INTERVAL.fullmatch(rest))
    mantissa, _, exponent = digits.lower().partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return Printed(
        text=match["value"] + (match["percent"] or ""),
        value=float(digits),
        decimals=max(decimals, 0),
        percent=bool(match["percent"]),
        spread=spread,
        aside=aside is not None and not signed and not spread,
        exact=match["about"] is None,
    )


def _with_point(text: str, decimal_comma: bool) -> str | None:
    text = re.sub(r"(?<=\d)['’\u2009\u00a0\u202f ](?=\d{3})", "", text)
    if "," in text and "." in text:
        thousands = "," if text.rindex(".") > text.rindex(",") else "."
        text = text.replace(thousands, "")
    elif "," in text and (decimal_comma or not re.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+", text)):
        if text.count(",") > 1:
            return None
    elif "," in text:
        text = text.replace(",", "")
    return text.replace(",", ".")
