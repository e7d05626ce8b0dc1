"""The pages say what is there: names and paths in them exist, and nothing public is left out."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

import normlab
from normlab.data.check.base import data_checks
from normlab.plugins import GROUPS
from normlab.records.checks import registered_checks
from normlab.stats.audit.rules import RULES
from normlab.stats.checks.run import study_checks

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
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


def test_every_page_is_in_the_contents() -> None:
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    for page in (ROOT / "docs").rglob("*.md"):
        if page.stem != "index":
            assert str(page.relative_to(ROOT / "docs").with_suffix("")) in contents


def test_the_citation_and_the_changelog_have_the_version() -> None:
    facts = dict(re.findall(r"^([\w-]+): (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M))
    assert facts["version"] == normlab.__version__
    changes = (ROOT / "docs" / "changelog.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)
    assert released[0] == (facts["version"], facts["date-released"])
    kinds = set(re.findall(r"^### (.*)$", changes, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_every_code_has_a_place_that_can_be_linked_to() -> None:
    study_checks()
    data_checks()
    codes = {check.code for check in registered_checks()} | {rule.code for rule in RULES}
    assert {code[:2] for code in codes} == {"NL", "DC", "AU"}
    headings = set()
    for page in (ROOT / "docs").rglob("*.md"):
        headings |= set(re.findall(r"^### ([A-Z]{2}\d+)$", page.read_text("utf-8"), re.MULTILINE))
    assert headings == codes


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
