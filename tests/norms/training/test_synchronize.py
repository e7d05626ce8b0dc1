"""Synchronised statistics: many processes on parts of a batch equal one process on all of it."""

from __future__ import annotations

import copy
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

import normlab
from normlab.errors import UsageError
from normlab.norms.layers.batch import BatchNorm2d
from normlab.norms.layers.conditional import ConditionalNorm2d
from normlab.norms.layers.instance import InstanceNorm2d
from normlab.norms.training.synchronize import synchronize

CHANNELS = 6
PARTS = {"equal": [4, 4], "unequal": [1, 7], "empty": [8, 0], "four": [3, 0, 4, 1]}


class OnOnes(nn.Module):
    """A conditional batch norm on a condition of ones."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = ConditionalNorm2d(BatchNorm2d(CHANNELS), features=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x, x.new_ones(len(x), 2))


def layer(norm: str) -> nn.Module:
    if norm == "tracked in":
        return InstanceNorm2d(CHANNELS, affine=True, track_running_stats=True)
    return OnOnes() if norm == "conditional" else normlab.make_norm(norm, CHANNELS)


def network(norm: str) -> nn.Sequential:
    """Two norms in a row, so that gradients pass through one into the other."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3, padding=1),
        layer(norm),
        nn.ReLU(),
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
        layer(norm),
    )
    for parameter in model.parameters():
        nn.init.uniform_(parameter, 0.2, 0.9)
    return model


def joined_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(8, 3, 5, 4, generator=generator) * 2 + 3
    return x, torch.randn(8, CHANNELS, 5, 4, generator=generator)


def step(model: nn.Sequential, x: torch.Tensor, dy: torch.Tensor) -> dict[str, torch.Tensor]:
    """Two forward-backward passes; everything that they left behind."""
    x = x.clone().requires_grad_()
    for _ in range(2):
        y = model(x)
        y.backward(dy)
    found = {"y": y.detach(), "dx": x.grad}
    found |= {f"d {name}": p.grad for name, p in model.named_parameters()}
    return found | {name: b.clone() for name, b in model.named_buffers()}


def main(rank: str, port: str, parts: str, norm: str, dtype: str, alone: str, out: str) -> None:
    """One rank: this file is run as a program, once per rank."""
    sizes = [int(size) for size in parts.split(",")]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=int(rank), world_size=len(sizes))
    model, x, dy = (value.to(getattr(torch, dtype)) for value in (network(norm), *joined_batch()))
    if alone == "False":
        synchronize(model)
    start = sum(sizes[: int(rank)])
    mine = slice(start, start + sizes[int(rank)])
    torch.save(step(model, x[mine], dy[mine]), Path(out) / f"{rank}.pt")
    distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def largest_difference(
    norm: str, parts: list[int], folder: Path, *, dtype: str = "float64", alone: bool = False
) -> float:
    """Between the ranks on their parts and one process on the whole, relative to the largest."""
    common = [str(free_port()), ",".join(map(str, parts)), norm, dtype, str(alone), str(folder)]
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), *common])
        for rank in range(len(parts))
    ]
    assert [process.wait(timeout=120) for process in processes] == [0] * len(parts)
    ranks = [torch.load(folder / f"{rank}.pt") for rank in range(len(parts))]
    model, x, dy = (value.to(getattr(torch, dtype)) for value in (network(norm), *joined_batch()))
    worst = 0.0
    for name, expected in step(model, x, dy).items():
        found = [rank[name] for rank in ranks]
        if name in ("y", "dx"):
            pairs = [(torch.cat(found), expected)]
        elif name.startswith("d "):  # gradients of the ranks add up
            pairs = [(torch.stack(found).sum(0), expected)]
        else:  # every rank keeps the statistics of the whole
            pairs = [(one, expected) for one in found]
        for one, other in pairs:
            scale = float(other.abs().max().clamp(min=1))  # a bias before a norm has gradient 0
            worst = max(worst, float((one - other).abs().max()) / scale)
    return worst


@pytest.mark.parametrize("norm", ["bn", "bin:gate=0.6", "sn", "ibn"])
@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_ranks_equal_one_process(norm: str, parts: list[int], tmp_path: Path) -> None:
    assert largest_difference(norm, parts, tmp_path) < 1e-12


@pytest.mark.parametrize("parts", [[4, 4], [2, 6], [8, 0], [2, 2, 2, 2]], ids=str)
@pytest.mark.slow
def test_virtual_batches_are_those_of_the_whole_batch(parts: list[int], tmp_path: Path) -> None:
    """Where each rank has whole ones; only the running statistics travel."""
    assert largest_difference("bn:virtual_batch=2", parts, tmp_path) < 1e-12


@pytest.mark.parametrize("norm", ["bn", "bin:gate=0.6"])
@pytest.mark.slow
def test_ranks_equal_one_process_in_float32(norm: str, tmp_path: Path) -> None:
    assert largest_difference(norm, PARTS["four"], tmp_path, dtype="float32") < 2e-5


@pytest.mark.parametrize("norm", ["conditional", "tracked in"])
@pytest.mark.slow
def test_other_norms_with_running_statistics(norm: str, tmp_path: Path) -> None:
    assert largest_difference(norm, PARTS["four"], tmp_path) < 1e-12


@pytest.mark.slow
def test_the_comparison_can_fail(tmp_path: Path) -> None:
    """Without the exchange every rank normalizes by its own part."""
    assert largest_difference("bn", PARTS["equal"], tmp_path, alone=True) > 1e-2


def test_ranks_are_needed() -> None:
    with pytest.raises(UsageError, match="init_process_group before"):
        synchronize(network("bn"))


def test_a_norm_that_cannot_pool_is_named(monkeypatch) -> None:
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    with pytest.raises(UsageError, match="TorchBatchNorm2d cannot pool its statistics over ranks"):
        synchronize(network("torch-bn"))


def test_the_mark_is_copied_and_pickled() -> None:
    layer = normlab.make_norm("bn", 4)
    layer.synchronized = True
    assert copy.deepcopy(layer).synchronized
    assert pickle.loads(pickle.dumps(layer)).synchronized
    assert not normlab.make_norm("bn", 4).synchronized


if __name__ == "__main__":
    main(*sys.argv[1:])
