"""Commands that are printed to be copied can be pasted, whatever a folder is called."""

from __future__ import annotations

import ast
import html
import re
import shlex
from pathlib import Path

import pytest

import normlab
from normlab.cli.screen.console import make_console
from normlab.cli.summary import print_answer, print_paths
from normlab.errors import UsageError
from normlab.explain.arms import finished_runs
from normlab.records.robustness import ROBUSTNESS as STRESSED
from normlab.report.explanation import FILE, FOLDER
from normlab.report.page.build import build_report, report_context
from normlab.report.sections.gallery.section import SECTION as GALLERY
from normlab.report.sections.robustness.section import SECTION as ROBUSTNESS
from normlab.stats.data.reading import read_study
from normlab.stats.summary.analysis import analyse_study

SOURCE = Path(normlab.__file__).parent
UNQUOTED = re.compile(r"\bnormlab [a-z-]+( [^.,;]*)? *\{")
NAME = "schöne study"
NO_COMMANDS = ("the data that come with normlab are", "normlab cannot be used on")


def unquoted(text: str) -> list[str]:
    """Strings of a Python file in which a value stands behind `normlab VERB` as it is."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "{" for p in node.values)
            found.append("".join(map(str, parts)))
    return [one for one in found if UNQUOTED.search(one) and not any(n in one for n in NO_COMMANDS)]


def test_no_command_is_written_without_the_helper_that_quotes() -> None:
    assert unquoted('f"go on: normlab run " f"{folder} --blocks 5"')
    assert unquoted('f"normlab compare data --out {folder}"')
    assert not unquoted('f"{folder} is no folder that normlab knows: {why}"')
    for path in SOURCE.rglob("*.py"):
        assert not unquoted(path.read_text(encoding="utf-8")), path
    for path in SOURCE.rglob("*.j2"):
        assert not UNQUOTED.search(path.read_text(encoding="utf-8")), path


@pytest.fixture
def study(fabricate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of three blocks in a folder of two words, by the path that was typed."""
    monkeypatch.chdir(tmp_path)
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=3, epochs=2)
    fabricate.write_study(Path(NAME), plan, fabricate.make_runs(plan))
    return Path(NAME)


def pasted(text: str) -> list[list[str]]:
    """The commands of a text as a shell would cut them."""
    return [shlex.split(line)[1:] for line in re.findall(r"normlab [a-z]+ [^·\n<]*", text)]


def test_what_the_terminal_prints_can_be_pasted(study: Path, capsys) -> None:
    records, console = read_study(study), make_console()
    analysis = analyse_study(records)
    found = print_answer(analysis, console, study)
    print_paths(study / "report", study, console, records, analysis, found)
    commands = pasted(capsys.readouterr().out)
    assert {verb for verb, *_ in commands} >= {"predict", "run"}
    assert all(command[1] == NAME for command in commands), commands


@pytest.mark.slow
def test_what_the_page_prints_can_be_pasted(study: Path) -> None:
    page = build_report(study, exports=False).read_text(encoding="utf-8")
    blocks = re.findall(r"<(?:pre|code)[^>]*>(.*?)</(?:pre|code)>", page, re.DOTALL)
    commands = pasted("\n".join(html.unescape(block) for block in blocks))
    own = [words for words in commands if NAME.split()[0] in " ".join(words)]
    assert {verb for verb, *_ in own} >= {"explain", "predict", "run", "stress"}
    for words in own:
        assert any(word.startswith(NAME) for word in words), words


@pytest.mark.parametrize(
    ("section", "file"), [(GALLERY, f"{FOLDER}/{FILE}"), (ROBUSTNESS, STRESSED)]
)
def test_what_a_section_without_data_says_can_be_pasted(study: Path, section, file: str) -> None:
    """The command is the last word, with no full stop behind it."""
    context = report_context(study)
    missing = section.nothing(context)
    path = study / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n")
    damaged = section.nothing(context)
    assert pasted(missing.command) == pasted(damaged.text)
    (((verb, *words),)) = pasted(missing.command)
    assert (verb in ("explain", "stress"), words) == (True, [NAME])


def test_what_an_error_says_can_be_pasted(study: Path) -> None:
    for outcome in study.glob("runs/*/outcome.json"):
        outcome.unlink()
    with pytest.raises(UsageError) as said:
        finished_runs(study)
    assert pasted(str(said.value)) == [["run", NAME]]
