"""Our own arms run the contract that a third party's norm can run; and the contract can fail."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from normlab.norms.spec import make_norm
from normlab.testing import TOLERANCES, NormContract, assert_close, relative_error

pytestmark = pytest.mark.usefixtures("one_thread")


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
    # In a module converted to half precision the framework's dγ is off by more than ours: 2.2 %
    # in bfloat16, 0.3 % in float16.
    tolerances: ClassVar = {**TOLERANCES, torch.bfloat16: 2**-5, torch.float16: 2**-8}
    recomputes = False  # it counts the batch twice

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


class IgnoresResidual(nn.Module):
    """Always float32, always NCHW, and deaf to residual and activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(
        self, x: Tensor, residual: Tensor | None = None, activation: str = "none"
    ) -> Tensor:
        return x.contiguous().float()


class WrongBackward(nn.Module):
    """x² whose derivative is said to be 1."""

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.square()

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> Tensor:
            return dy.clone()

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return self.Square.apply(x)


class CountsEvaluations(nn.Module):
    """A random scale that grows with every call, evaluation included."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.weight[:, None, None] * self.calls.item()


class KeepsGraph(nn.Module):
    """An average that is never detached: the memory grows with every step."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("average", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = x * self.weight[:, None, None]
        self.average = 0.9 * self.average + y.mean((0, 2, 3))
        return y


class BranchesOnValues(nn.Module):
    """Computes differently by what the input is: no one graph."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.mean() > 0 else x


class ReadsWhatItMoves(nn.Module):
    """Divides by a running size and moves it: who runs the forward again reads another one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("size", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = x * (self.weight / self.size.clone())[:, None, None]
        with torch.no_grad():
            self.size.lerp_(x.abs().mean((0, 2, 3)), 0.1)
        return y


def contract_of(module: type[nn.Module]) -> NormContract:
    class Contract(NormContract):
        def make(self, channels: int) -> nn.Module:
            return module(channels)

    return Contract()


@pytest.mark.parametrize(
    ("module", "test", "message"),
    [
        (IgnoresResidual, "test_both_memory_formats", "y: relative|y lost its format"),
        (IgnoresResidual, "test_dtypes", "torch.float64 in, torch.float32 out"),
        (IgnoresResidual, "test_autocast_sums_in_full_precision", "torch.float32 out"),
        (IgnoresResidual, "test_fused_equals_unfused", "y, none with residual: relative error"),
        (WrongBackward, "test_gradcheck", "Jacobian mismatch"),
        (CountsEvaluations, "test_evaluation_changes_nothing", "two evaluations of one input"),
        (CountsEvaluations, "test_no_global_randomness", "two new norms differ"),
        (KeepsGraph, "test_nothing_keeps_the_graph_alive", "buffer average requires a gradient"),
        (BranchesOnValues, "test_compiled_training", "[Dd]ata-dependent"),
        (ReadsWhatItMoves, "test_checkpointed_training", "dx: relative error"),
        (BatchStatisticsAlways, "test_evaluation_is_per_sample", "a sample alone: relative error"),
    ],
)
def test_the_contract_finds_defects(module: type[nn.Module], test: str, message: str) -> None:
    with pytest.raises((AssertionError, RuntimeError), match=message):
        getattr(contract_of(module), test)()


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


@pytest.mark.slow
def test_pytest_is_not_needed_to_import_the_contract() -> None:
    code = "import sys, normlab.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
