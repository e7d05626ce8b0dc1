"""One run by two processes: equal to one process up to rounding, unless each norms its own part."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import distributed

from normlab.records.run import NormSite
from normlab.records.store import RunFolder
from normlab.train.checkpoint import load_weights
from normlab.train.execute import execute
from normlab.train.network import build_network, check_trainable, view_of
from normlab.train.ranks import Ranks, follow
from normlab.train.step import gradients_of
from normlab.train.step_mode import StepMode

NORMS = ("bn", "gn:groups=4")


def gradients(network, compute, batch) -> dict[str, torch.Tensor]:
    losses, logits = compute(*batch)
    return {"losses": losses, "logits": logits} | {
        name: parameter.grad.clone() for name, parameter in network.named_parameters()
    }


def be_a_rank(rank: int, port: str, out: Path) -> None:
    """Train some runs beside another rank; each writes what it found."""
    from conftest import ToyData, toy_spec

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    for norm in NORMS:
        for norm_batch in ("synchronized", "local"):
            spec = toy_spec(norm=norm, ranks=2, norm_batch=norm_batch, patience=2)
            folder = RunFolder(out / f"{norm[:2]}-{norm_batch}")
            ranks = Ranks(spec, lambda images: None)
            if rank == 0:
                list(execute(spec, ToyData(spec), folder, ranks=ranks))
            else:
                follow(spec, ToyData(spec), folder, "cpu", ranks)
    spec = toy_spec(ranks=2, norm_batch="synchronized")
    network = build_network(spec).train()
    compute = Ranks(spec, lambda images: None).join(network, spec)
    for size in (7, 1):  # ragged: parts of 4 and 3, and of 1 and none
        batch = [part[:size] for part in ToyData(spec).parts["train"]]
        torch.save(gradients(network, compute, batch), out / f"{size}-{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("ranks")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), port, str(out)]) for rank in (0, 1)
    ]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    return out


@pytest.fixture
def difference(ranks: Path, make_spec, make_data, tmp_path: Path):
    """How much a run's weights differ from those of one process, relative to each tensor."""

    def found(name: str, norm: str) -> float:
        spec = make_spec(norm=norm, patience=2)
        one = RunFolder(tmp_path / norm[:2])
        list(execute(spec, make_data(spec), one))
        a = load_weights(one.weights_path)[0]
        b = load_weights(ranks / name / "weights.safetensors")[0]
        return max(
            float((a[key] - b[key]).abs().max() / a[key].abs().max())
            for key in a
            if a[key].is_floating_point()
        )

    return found


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_synchronized_is_one_process(difference, norm: str) -> None:
    assert difference(f"{norm[:2]}-synchronized", norm) < 1e-4


@pytest.mark.slow
def test_a_part_of_its_own_is_another_treatment_of_a_batch_norm_alone(difference) -> None:
    assert difference("bn-local", "bn") > 1e-3
    assert difference("gn-local", "gn:groups=4") < 1e-4


@pytest.mark.slow
def test_ragged_batches_have_the_gradients_of_the_whole(ranks: Path, make_spec, make_data) -> None:
    spec = make_spec()
    network = build_network(spec).train()
    compute = gradients_of(network, spec, StepMode(graph=False))
    for size in (7, 1):
        expected = gradients(network, compute, [p[:size] for p in make_data(spec).parts["train"]])
        one, other = (torch.load(ranks / f"{size}-{rank}.pt") for rank in (0, 1))
        for name in expected:
            assert torch.equal(one[name], other[name]), "the ranks have gone apart"
            torch.testing.assert_close(one[name], expected[name], rtol=1e-4, atol=1e-5)


def test_one_rank_is_the_run_that_it_always_was(make_spec) -> None:
    assert make_spec(ranks=1, norm_batch=None).id == make_spec().id
    ids = {make_spec(ranks=2, norm_batch=each).id for each in ("local", "synchronized")}
    assert len({make_spec().id, *ids}) == 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ranks": 3, "norm_batch": "local"}, "3 ranks do not divide a batch of 8 images"),
        ({"ranks": 2}, "say what a batch norm takes its statistics over"),
        ({"ranks": 0}, "greater than or equal to 1"),
    ],
)
def test_ranks_that_cannot_be_are_refused(make_spec, changes, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        make_spec(**changes)


def test_a_norm_that_cannot_synchronize_is_refused(make_spec) -> None:
    with pytest.raises(ValueError, match="choose --norm-batch local"):
        check_trainable(make_spec(norm="torch-bn", ranks=2, norm_batch="synchronized"))
    check_trainable(make_spec(norm="torch-bn", ranks=2, norm_batch="local"))


def test_a_part_of_its_own_has_fewer_values(make_spec) -> None:
    """Which NL001 counts."""

    def values(**changes) -> list[int | None]:
        spec = make_spec(**changes)
        sites: list[NormSite] = [
            site.facts for site in view_of(build_network(spec), spec).norm_sites
        ]
        return [site.values for site in sites]

    whole = values()
    assert values(ranks=2, norm_batch="synchronized") == whole
    assert values(ranks=2, norm_batch="local") == [v // 2 for v in whole]


if __name__ == "__main__":
    be_a_rank(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
