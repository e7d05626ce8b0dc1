"""A study around a training of one's own: pairing, records, verdict, page, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import normlab
from normlab.errors import NormlabError, PlanError, UsageError
from normlab.records.store import read_runs
from normlab.report.page.build import build_report
from normlab.study.own.training import Block
from normlab.study.study import Study
from normlab.study.verify import verify_study

CALLS: list[tuple[str, int, Tensor, float]] = []


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 2),
    )


def train(model: nn.Module, block: Block) -> dict[str, float]:
    """No training at all: instance norms score a tenth more than the block's own luck."""
    kind = type(model[1]).__name__
    CALLS.append((kind, block.number, model[0].weight.detach().clone(), float(torch.rand(()))))
    luck = 0.5 + 0.1 * float(np.random.random()) + 0.01 * float(block.numpy().random())  # noqa: NPY002
    better = 0.1 + 0.001 * (block.number * 3 % 5)
    return {"dice": luck + (better if kind == "InstanceNorm2d" else 0.0), "steps": 12.0}


def study(folder: Path, **options):
    chosen = {"metric": "dice", "norms": ["bn", "in"], "blocks": 3, **options}
    return normlab.own_study(
        folder, chosen.pop("train", train), chosen.pop("make", network), **chosen
    )


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def test_the_verdict_follows_from_paired_calls(tmp_path) -> None:
    one = study(tmp_path / "s")
    ended = list(one.run())
    assert [(spec.arm, spec.block, outcome.status) for spec, outcome in ended] == [
        (arm, block, "finished") for block in range(3) for arm in ("bn", "in")
    ]
    for (_, number, weight, drawn), (_, other, same_weight, same) in zip(
        CALLS[::2], CALLS[1::2], strict=True
    ):
        assert number == other
        assert torch.equal(weight, same_weight)
        assert drawn == same
    assert len({drawn for *_, drawn in CALLS}) == 3
    assert one.verdict.use == "in"
    table = one.table().set_index("arm")
    assert table.loc["in", "difference"] == pytest.approx(0.1 + 0.001 * (3 + 1 + 4) / 3)
    assert ended[0][1].scores["steps"] == 12.0


def test_global_numbers_are_as_they_were(tmp_path) -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = torch.rand(()), np.random.random()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    list(study(tmp_path / "s", blocks=1).run())
    assert (torch.rand(()), np.random.random()) == expected  # noqa: NPY002


def test_it_goes_on_where_it_was_stopped(tmp_path) -> None:
    stopped: list[bool] = []

    def tired(model: nn.Module, block: Block) -> float:
        if len(CALLS) == 3 and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt
        return train(model, block)["dice"]

    one = study(tmp_path / "s", train=tired)
    assert [outcome.status for _, outcome in one.run()][-1] == "interrupted"
    again = study(tmp_path / "s", train=tired)
    assert len(list(again.run())) == 3
    assert again.verdict.use == "in"
    assert len(list(read_runs(tmp_path / "s"))) == 6
    more = study(tmp_path / "s", train=tired, blocks=4)
    arms = [spec.arm for spec, _ in more.run()]
    assert arms == ["bn", "in"], "bn has lost after block 3, and stays because in would be alone"


def test_failures_are_results(tmp_path) -> None:
    def broken(model: nn.Module, block: Block) -> float:
        if "Instance" in type(model[1]).__name__:
            raise RuntimeError("no such shape")
        return math.nan

    ended = [outcome for _, outcome in study(tmp_path / "s", train=broken, blocks=1).run()]
    assert [outcome.status for outcome in ended] == ["diverged", "failed"]
    assert ended[1].error == "RuntimeError: no such shape"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"iou": 0.5}, "train must give the metric 'dice', and it gave iou"),
        ({"dice": 12.0}, "the metric is a share between 0 and 1, larger is better, and dice is 12"),
        ({"dice": "good"}, "train must give numbers, and dice is a str"),
    ],
)
def test_figures_that_cannot_be_used_are_said(given, message, tmp_path) -> None:
    ended = [o for _, o in study(tmp_path / "s", train=lambda *_: given, blocks=1).run()]
    assert ended[0].status == "failed"
    assert message in ended[0].error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norms": ["bn", "gn:groups=4"]}, "the arm gn:groups=4: .*4 groups do not divide 6"),
        ({"norms": ["bn", "gnn"]}, "unknown norm 'gnn'"),
        ({"metric": "a/b"}, "a metric's name is up to 40 letters"),
        ({"make": lambda: nn.Sequential(nn.Linear(3, 2))}, "no normalization that could be"),
        ({"make": lambda: None}, "must return a torch.nn.Module, and it returned a NoneType"),
        ({"blocks": 0}, "blocks = 0"),
    ],
)
def test_what_cannot_begin_leaves_nothing_behind(options, message, tmp_path) -> None:
    with pytest.raises(UsageError, match=message):
        study(tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_another_study_is_refused(tmp_path) -> None:
    study(tmp_path / "s")
    with pytest.raises(PlanError, match=r"another plan .what it compares has changed"):
        study(tmp_path / "s", norms=["bn", "ln"])
    with pytest.raises(PlanError, match="the source of train or make_network has changed"):
        study(tmp_path / "s", train=lambda model, block: 0.5)


def test_other_commands_say_whose_runs_they_are(tmp_path) -> None:
    study(tmp_path / "s")
    with pytest.raises(NormlabError, match="go on with that program"):
        Study.open(tmp_path / "s").load_data()


def test_the_page_speaks_of_the_metric_alone(tmp_path) -> None:
    one = study(tmp_path / "s")
    list(one.run())
    page = build_report(tmp_path / "s", exports=False).read_text()
    assert "dice minus that of bn" in page
    shown = page.split("<script")[0]
    assert "own:dice" not in shown.split("study.toml</summary>")[0]
    assert 'id="curves"' not in page
    assert "optimizer.name" not in page
    assert "weights.safetensors" not in page
    assert "normlab predict" not in page
    assert "We compared 2 normalizations (bn and in)" in page
    assert verify_study(tmp_path / "s").damaged == 0
