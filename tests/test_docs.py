"""The pages say what is there: names and paths in them exist, and nothing public is left out."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

import normlab
from normlab.plugins import GROUPS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])
DOTTED = re.compile(r"\bnormlab(?:\.[A-Za-z_]\w*)+")
FILES = re.compile(r"(?<![\w/])[a-z_][a-z_0-9]*/[a-z_0-9/]*\.(?:py|cpp|h|j2)\b")
"""With a folder, and without the capitals that stand for any name."""


def code_of(page: str) -> str:
    """What is set as code: in backticks, in a block, or indented by four."""
    blocks = re.findall(r"```.*?```|`[^`\n]+`|^ {4}.*$", page, re.DOTALL | re.MULTILINE)
    return "\n".join(blocks)


def missing_names(text: str) -> list[str]:
    missing = []
    for name in sorted(set(DOTTED.findall(text))):
        if name in GROUPS:
            continue
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            missing.append(name)
    return missing


def missing_files(text: str) -> list[str]:
    homes = (ROOT, ROOT / "src" / "normlab")
    names = sorted(set(FILES.findall(text)))
    return [name for name in names if not any((home / name).exists() for home in homes)]


def test_a_name_or_a_file_that_is_gone_is_found() -> None:
    assert missing_names("normlab.make_norm, normlab.make_nrom") == ["normlab.make_nrom"]
    assert missing_files("norms/spec.py, norms/blend2.py") == ["norms/blend2.py"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_and_files_exist(page: Path) -> None:
    text = code_of(page.read_text(encoding="utf-8"))
    assert missing_names(text) == []
    assert missing_files(text) == []


def test_everything_public_is_described() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    names = set(normlab.__all__) - {"__version__"}
    assert [name for name in sorted(names) if not re.search(rf":: {name}\b", page)] == []


def test_every_page_is_in_the_readme_or_the_contents() -> None:
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        if page.stem != "index":
            assert re.search(rf"^{page.stem}$", contents, re.MULTILINE), page.name


def test_the_citation_has_the_version() -> None:
    assert f"version: {normlab.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_the_code_on_the_page_of_networks_runs() -> None:
    from normlab.networks.registry import NETWORKS

    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    before, names = dict(NETWORKS), {"__name__": "networks_page"}
    try:
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            exec(compile(block, "docs/networks.md", "exec"), names)
        assert set(NETWORKS) - set(before) == {"plain"}
    finally:
        NETWORKS.clear()
        NETWORKS.update(before)
