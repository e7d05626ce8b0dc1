"""Every command of the documentation can be parsed, and those on data that everyone has are run."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from normlab.cli.main import app
from normlab.errors import UsageError
from normlab.norms import registry

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
COMMANDS = typer.main.get_command(app).commands
FENCE = re.compile(r"^ *```(\S*).*?\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
SMALL = ("--blocks", "1", "--epochs", "1", "--image-size", "8", "--yes", "--no-live", "--no-probe")
"""What a comparison of the pages is cut down to when it is run here."""
EXIT_CODES = {"audit": 1}  # the page shows a table with certain findings
PRINTS_THE_SAME = ("audit", "networks")
UNUSABLE = typer.BadParameter.__bases__[0]
"""What the parser raises; where it lives depends on typer's version."""
OPTIONS_OF_OTHERS = {"--nnodes"}  # torchrun


def commands(page: str) -> Iterator[str]:
    """What stands in blocks of code as `normlab …`, without a prompt and comments."""
    blocks = [text for kind, text in FENCE.findall(page) if kind in ("", "console", "sh")]
    blocks += re.findall(r"^ {4,}normlab .*$", FENCE.sub("", page), re.MULTILINE)
    for line in "\n".join(blocks).splitlines():
        if found := re.match(r"\s*(?:\$ )?(normlab [a-z-]+( .*)?)$", line):
            yield found[1]


def arguments(command: str) -> list[str]:
    """The words of a command; of alternatives the first, and nothing for "…"."""
    words = shlex.split(command, comments=True)[1:]
    return [word.split("|")[0] for word in words if word != "…"]


def parse(command: str) -> None:
    """As the program itself would, up to the point where the verb is called."""
    verb, *rest = arguments(command)
    with COMMANDS[verb].make_context(verb, rest):
        pass


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_the_commands_of_a_page_are_found() -> None:
    page = (
        "    normlab run S   # on\n\n```console\n$ normlab status S\nS  1 of 2\n```\nnormlab is\n"
    )
    assert sorted(commands(page)) == ["normlab run S   # on", "normlab status S"]
    assert arguments("normlab run S … --jobs auto|4  # x") == ["run", "S", "--jobs", "auto"]
    for wrong in ("normlab run S --job", "normlab status", "normlab run S --blocks many"):
        with pytest.raises((UsageError, UNUSABLE)):
            parse(wrong)
    with pytest.raises(KeyError):
        parse("normlab runn S")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_can_be_parsed(page: Path) -> None:
    for command in commands(read(page)):
        parse(command)


def test_many_commands_were_found() -> None:
    assert sum(len(list(commands(read(page)))) for page in PAGES) > 80


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_verbs_and_options_in_a_sentence_exist(page: Path) -> None:
    every = {name for command in COMMANDS.values() for param in command.params
             for name in (*param.opts, *param.secondary_opts)}  # fmt: skip
    every |= {"--help", "--version"} | OPTIONS_OF_OTHERS
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", FENCE.sub("", read(page))):
        if found := re.match(r"normlab ([a-z-]+)", code):
            assert found[1] in COMMANDS, code
            of_verb = {n for p in COMMANDS[found[1]].params for n in (*p.opts, *p.secondary_opts)}
            named = re.findall(r"(?<=\s)--[a-z][a-z_-]*", code)
            assert set(named) <= of_verb | {"--help"}, code
        elif named := re.match(r"--[a-z][a-z_-]*", code):
            assert named[0] in every, code


DEMO = sorted(
    {c.partition(" #")[0].rstrip() for page in PAGES for c in commands(read(page))
     if re.search(r"--demo|demo:digits", c)}
)  # fmt: skip


@pytest.fixture
def quick(no_report: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies end without figures and pictures, which are tested elsewhere and take seconds."""
    monkeypatch.setattr("normlab.cli.session.conduct.make_pictures", lambda *_: None)


def with_console(page: Path) -> bool:
    return "```console" in read(page)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("command", [c for c in DEMO if not any(
    c in read(page) for page in PAGES if with_console(page))])  # fmt: skip
def test_a_command_on_the_demo_runs(normlab, command: str) -> None:
    verb, *rest = arguments(command)
    found = normlab(verb, *rest, *(SMALL if verb in ("compare", "plan") else ()))
    assert found.code == 0, found.err


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("page", [*filter(with_console, PAGES)], ids=lambda page: page.stem)
def test_the_consoles_of_a_page_run(
    normlab, scratch: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one folder, one after the other; files that the page shows are there."""
    text = read(page)
    monkeypatch.syspath_prepend(scratch)
    for name, content in re.findall(
        r"```\{code-block\}.*?\n:caption: (\S+)\n\n(.*?)```", text, re.S
    ):
        (scratch / name).write_text(content, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)
    sessions = [s for kind, block in FENCE.findall(text) if kind == "console"
                for s in block.split("$ ")[1:]]  # fmt: skip
    with registry.temporary_norms():
        for command, *shown in (session.rstrip().splitlines() for session in sessions):
            verb, *rest = arguments(command)
            found = normlab(verb, *rest, *(SMALL if verb in ("compare", "plan") else ()))
            assert found.code == EXIT_CODES.get(verb, 0), found.err
            if verb in PRINTS_THE_SAME:
                printed = {line.rstrip() for line in found.out.splitlines()}
                assert [line for line in shown if line != "…" and line not in printed] == []
    sys.modules.pop("half_mean", None)
