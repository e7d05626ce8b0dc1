"""Inline Markdown, reStructuredText and HTML as plain text."""

from __future__ import annotations

import html
import re

from normlab.stats.audit.readers.latex_text import to_text


def clean(text: str) -> str:
    r"""What a reader of the page sees in a cell.

    >>> clean("**[ResNet-18](https://a/b)** <sup>1</sup>"), clean(r"$94.2 \pm 0.1$")
    ('ResNet-18', '94.2 ± 0.1')
    """
    text = re.sub(r"<!--.*?-->", " ", text, flags=re.DOTALL)
    text = re.sub(r"(?<!10)<sup>.*?</sup>", " ", text, flags=re.IGNORECASE | re.DOTALL)
    text = re.sub(r"<(s|del|strike)>.*?</\1>|~~.*?~~", " ", text, flags=re.IGNORECASE | re.DOTALL)
    text = re.sub(r"</?[A-Za-z][^<>]*>", " ", text)
    text = html.unescape(text)
    text = re.sub(r"\s*\[[#*\w]+\]_", "", text)
    text = re.sub(r"!\[[^]]*\]\([^)]*\)", " ", text)
    text = re.sub(r"\[?\[((?:[^][]|\[[^]]*\])*)\]\([^()]*(?:\([^()]*\)[^()]*)*\)\]?", r"\1", text)
    text = re.sub(r"\[([^][]+)\]\[[^]]*\]", r"\1", text)
    text = re.sub(r"`+([^`<]*)(?:<[^>`]*>)?`+_{0,2}", r"\1", text)
    text = re.sub(r"(?<!\\)\$([^$]*)\$", lambda match: to_text(f"${match[1]}$"), text)
    text = re.sub(r"\*\*|(?<!\w)__|__(?!\w)", "", text)
    text = re.sub(r"(?<![\w*])[*_](?=\S)([^*_]*\S)[*_](?![\w*])", r"\1", text)
    text = re.sub(r"\\([\\`*_{}\[\]()#+.!|%~-])", r"\1", text)
    return " ".join(text.split())
