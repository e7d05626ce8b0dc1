"""LaTeX as plain text: what a reader of the printed page sees in a cell."""

from __future__ import annotations

import re

_SYMBOLS = {
    "pm": "±", "times": "×", "cdot": "·", "approx": "≈", "sim": "~", "uparrow": "↑",
    "downarrow": "↓", "dagger": "†", "dag": "†", "ddagger": "‡", "ast": "*", "star": "*",
    "checkmark": "✓", "leq": "≤", "geq": "≥", "le": "≤", "ge": "≥", "quad": " ", "qquad": " ",
    "textendash": "–", "textemdash": "—", "Delta": "Δ", "rho": "ρ", "textpm": "±", "S": "§",
    "textdagger": "†", "textasciitilde": "~", "ldots": "…", "dots": "…",
}  # fmt: skip
_DROPPED = re.compile(
    r"\\(?:footnote|footnotetext|tnote|cite\w*|label|ref|cellcolor|rowcolor|columncolor|color"
    r"|textsuperscript|hspace|vspace|phantom|hphantom|vphantom|fontsize|setlength|footnotemark"
    r"|arrayrulecolor|vcell|tablefootnote)\*?"
)
_SECOND = re.compile(
    r"\\(?:textcolor|colorbox|rotatebox|scalebox|raisebox|href|parbox|adjustbox)\*?"
)


def argument(text: str, start: int, brackets: str = "{}") -> tuple[str, int]:
    """What stands between the brackets that open at `start`, and the place behind them."""
    depth = 0
    for index in range(start, len(text)):
        if text[index] == "\\":
            continue
        escaped = index > 0 and text[index - 1] == "\\" and text[index - 2 : index] != "\\\\"
        if text[index] == brackets[0] and not escaped:
            depth += 1
        elif text[index] == brackets[1] and not escaped:
            depth -= 1
            if depth == 0:
                return text[start + 1 : index], index + 1
    return text[start + 1 :], len(text)


def optional(text: str, start: int) -> int:
    """The place behind optional arguments and blanks."""
    while True:
        match = re.compile(r"\s*").match(text, start)
        start = match.end() if match else start
        if not text.startswith("[", start):
            return start
        _, start = argument(text, start, "[]")


def to_text(text: str) -> str:
    r"""The plain text of a piece of LaTeX.

    >>> to_text(r"\textbf{94.29} $\pm$ .09\,\%$^{\dagger}$")
    '94.29 ± .09 %'
    >>> to_text(r"$93.72_{\pm.18}$"), to_text(r"1{,}013"), to_text(r"F$_1$")
    ('93.72 ±.18', '1,013', 'F1')
    """
    text = _without(text, _DROPPED, kept=False)
    text = _without(text, _SECOND, kept=True)
    text = re.sub(r"\{\s*,\s*\}", ",", text)
    text = re.sub(r"\\(?:[,;:! ]|hfill\b|hfil\b|,)", " ", text)
    text = text.replace(r"\$", "＄").replace(r"\_", "＿")  # signs that are not LaTeX's own here
    text = re.sub(r"\\([%&#])", r"\1", text).replace("$", "")
    text = re.sub(r"\\([A-Za-z]+)\*?", _symbol, text)
    text = _scripts(text)
    text = re.sub(r"[{}]", "", text).replace("~", " ").replace("\\", " ")
    text = text.replace("---", "—").replace("--", "–").replace("＄", "$").replace("＿", "_")
    return " ".join(text.split())


def _symbol(match: re.Match[str]) -> str:
    return _SYMBOLS.get(match[1], "")


def _without(text: str, command: re.Pattern[str], *, kept: bool) -> str:
    """The text without these commands and their arguments; `kept` keeps the last argument."""
    while (match := command.search(text)) is not None:
        end = optional(text, match.end())
        content = ""
        if text.startswith("{", end):
            content, end = argument(text, end)
        while kept and text.startswith(("{", "["), end):
            brackets = "{}" if text[end] == "{" else "[]"
            content, end = argument(text, end, brackets)
        text = text[: match.start()] + (content if kept else "") + text[end:]
    return text


def _scripts(text: str) -> str:
    """Raised and lowered text: exponents and spreads stay, footnote marks go."""
    result = ""
    index = 0
    while index < len(text):
        if text[index] not in "^_" or index + 1 >= len(text):
            result += text[index]
            index += 1
            continue
        raised = text[index] == "^"
        if text[index + 1] == "{":
            content, index = argument(text, index + 1)
        else:
            content, index = text[index + 1], index + 2
        content = content.strip()
        if "±" in content:
            result += f" {content.strip('()')}"
        elif raised and re.search(r"10\s*$", result):
            result += f"^{{{content}}}"
        elif (
            not raised and re.search(r"\d\s*$", result) and re.fullmatch(r"\(?\d*\.\d+\)?", content)
        ):
            result += f" ({content.strip('()')})"
        elif not raised:
            result += content
    return result
