"""What a person sees while a study begins, runs and ends: lines, the table, and odd studies."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from normlab.cli.screen.console import packed, say_facts
from normlab.cli.screen.live import Picture, draw
from normlab.cli.screen.standing import Row, Standing
from normlab.cli.summary import print_answer
from normlab.records.run import Outcome
from normlab.stats.summary.analysis import analyse

LONG = "gn:groups=8 as " + "a-name-of-eighty-characters-" * 3


def terminal(width: int = 100, height: int = 24) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=True)


def text_of(console: Console) -> str:
    return console.file.getvalue()


def test_facts_fill_lines_and_are_never_cut() -> None:
    assert packed(["a", "b"], None) == ["a · b"]
    assert packed(["a" * 30, "b" * 30], 40) == ["a" * 30, "b" * 30]
    narrow = terminal(width=30)
    say_facts(narrow, "page", ["a-path/that-is-longer/than-the-terminal/index.html", "try it"])
    assert "a-path/that-is-longer/than-the-terminal/index.html\n" in text_of(narrow)


@pytest.fixture
def standing(fabricate):
    """Of three arms and two blocks; a function gives it a run with this test accuracy."""
    plan = fabricate.make_plan(norms=("bn", "gn", "none"), blocks=2)
    specs = [
        fabricate.make_spec(plan, arm, block) for block in (0, 1) for arm in ("bn", "gn", "none")
    ]
    state = Standing(plan, specs)

    def end(number: int, accuracy: float | None, status: str = "finished") -> None:
        measures = None if accuracy is None else fabricate.make_measures(accuracy)
        state.add(specs[number], Outcome(status=status, epochs=5, test=measures))

    return state, end


def test_a_block_is_complete_when_every_arm_has_ended(standing) -> None:
    state, end = standing
    (setting,) = state.arms
    end(0, 0.5)
    end(1, 0.7)
    assert state.newly_complete() == []
    end(2, None, "failed")
    assert state.newly_complete() == [0]
    assert state.newly_complete() == []
    assert state.ranking(setting) == "gn 70   bn 50   none failed"
    end(3, 0.6)
    end(5, None, "failed")
    state.drop(setting, {"gn": 1}, {("gn", 1)})
    assert state.newly_complete() == [1]
    assert [(row.arm, row.note) for row in state.rows(setting)] == [
        ("gn", "dropped after block 1"), ("bn", ""), ("none", "failed"),
    ]  # fmt: skip


def test_a_divergence_counts_as_guessing_and_guessing_is_said(standing) -> None:
    state, end = standing
    (setting,) = state.arms
    end(0, 0.25)
    end(1, None, "diverged")
    assert state.ranking(setting).startswith("bn 25   gn 25")
    assert state.only_guess(setting)
    end(2, 0.5)
    assert not state.only_guess(setting)


@pytest.mark.parametrize("width", [30, 60, 120])
@pytest.mark.parametrize(
    "arms", [["bn"], ["bn", LONG, "שלום"], [f"arm{n}" for n in range(60)]], ids=len
)
def test_the_table_fits_any_terminal(width, arms) -> None:
    rows = [Row(arm, 0.5, None, 1, "") for arm in arms]
    running = {arms[-1]: "block 2  epoch 3/10  validation 41.2 %"}
    console = terminal(width, height=20)
    console.print(draw(Picture("accuracy", rows, 5, running=running, share=0.4), width, 20))
    lines = text_of(console).splitlines()
    assert len(lines) <= 20
    with_arm = without_style = Text.from_ansi("\n".join(lines)).plain
    assert arms[-1][:4] in with_arm  # the one that runs is among those that are shown
    assert all(cell_len(line) <= width for line in without_style.splitlines())
    if len(arms) > 20:
        assert "more arms" in with_arm


@pytest.mark.parametrize("width", [40, 100])
@pytest.mark.parametrize(
    ("norms", "blocks"), [(("bn",), 3), (("bn", "gn"), 1), (("bn", f"gn as {'x' * 80}"), 5)]
)
def test_an_answer_is_shown_for_odd_studies(fabricate, norms, blocks, width, tmp_path) -> None:
    plan = fabricate.make_plan(norms=norms, blocks=blocks)
    analysis = analyse(plan, fabricate.make_runs(plan))
    console = terminal(width)
    (found,) = print_answer(analysis, console, tmp_path)
    said = text_of(console)
    assert "bn" in said
    assert "FIRST" in said or found.use
    assert "…" not in said  # nothing is cut: what is long goes on in the next line
