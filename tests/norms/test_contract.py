"""Our own arms run the contract that a third party's norm can run; and the contract can fail."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from normlab.norms.spec import make_norm
from normlab.testing import NormContract, assert_close, relative_error


class TestBatchNorm(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("bn", channels)


class TestInstanceNorm(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("in", channels)


class TestBatchInstanceNorm(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("bin", channels)


class TestLayerNorm(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("ln", channels)


class TestChannelLayerNorm(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("ln:axes=c", channels)


class TestGroupNorm(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("gn:groups=4", channels)


class TestNoNorm(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("none", channels)


class TestTorchBatchNorm(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("torch-bn", channels)


class TestFrameworkLayer(NormContract):
    """A module of somebody else, which knows neither residual nor activation."""

    fuses_residual_and_activation = False

    def make(self, channels: int) -> nn.Module:
        return nn.GroupNorm(2, channels)


class BatchStatisticsAlways(nn.Module):
    """Normalizes by the batch in evaluation too: breaks `evaluation_is_per_sample`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, self.weight, training=True)


class WrongBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.square()

    @staticmethod
    def backward(ctx, dy: Tensor) -> Tensor:
        return dy


class Defective(nn.Module):
    """Wrong backward, float32 out, layout lost, buffer that keeps the graph, random numbers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels))
        self.register_buffer("average", torch.zeros(channels))

    def forward(
        self, x: Tensor, residual: Tensor | None = None, activation: str = "none"
    ) -> Tensor:
        self.average = self.average + (x * self.weight[:, None, None]).mean((0, 2, 3))
        return WrongBackward.apply(x.contiguous()).float() + self.average[:, None, None]


class DefectiveContract(NormContract):
    def make(self, channels: int) -> nn.Module:
        return Defective(channels)


class BatchContract(NormContract):
    fuses_residual_and_activation = False

    def make(self, channels: int) -> nn.Module:
        return BatchStatisticsAlways(channels)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("test_both_memory_formats", "y lost its format|relative error"),
        ("test_dtypes", "in, torch.float32 out"),
        ("test_autocast_sums_in_full_precision", "bfloat16 in, torch.float32 out"),
        ("test_gradcheck", "Jacobian mismatch|dtype"),
        ("test_evaluation_changes_nothing", "two evaluations of one input differ"),
        ("test_no_global_randomness", "two new norms differ"),
        ("test_nothing_keeps_the_graph_alive", "buffer average requires|second time"),
        ("test_fused_equals_unfused", "relative error"),
    ],
)
def test_the_contract_finds_defects(test: str, message: str) -> None:
    with pytest.raises((AssertionError, RuntimeError), match=message):
        getattr(DefectiveContract(), test)()


def test_the_contract_finds_evaluation_by_the_batch() -> None:
    with pytest.raises(AssertionError, match="a sample alone: relative error"):
        BatchContract().test_evaluation_is_per_sample()


def test_the_comparing_helper_can_fail() -> None:
    """A helper that compares and never asserts would pass everything else here."""
    expected = torch.tensor([3.0, -4.0])
    assert relative_error(expected, expected) == 0
    assert assert_close(expected + 0.04, expected, 0.0101, "nearly equal") == pytest.approx(0.01)
    with pytest.raises(AssertionError, match=r"dx: relative error 1.00e-02, allowed 1e-03"):
        assert_close(expected + 0.04, expected, 1e-3, "dx")
    with pytest.raises(AssertionError, match="relative error inf"):
        assert_close(torch.tensor([3.0, float("nan")]), expected, 1.0, "dx")
    with pytest.raises(AssertionError, match="relative error inf"):
        assert_close(expected, torch.zeros(2), 1.0, "dx")
    with pytest.raises(AssertionError, match=r"shape \(1, 2\) is not \(2,\)"):
        assert_close(expected[None], expected, 1.0, "dx")


def test_pytest_is_not_needed_to_import_the_contract() -> None:
    code = "import sys, normlab.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
