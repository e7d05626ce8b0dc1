"""Tests that a normalization of your own can run: subclass `NormContract` and let pytest find it.

    from normlab.testing import NormContract

    class TestMyNorm(NormContract):
        def make(self, channels):
            return MyNorm(channels)

A norm is any module that maps (N, C, H, W) to the same shape. The class attributes say what it
promises beyond that; a test of a promise that was not made is reported as skipped. Only the
standard library's `unittest.SkipTest` is used for it, so pytest is not needed to import this.
"""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from unittest import SkipTest

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from normlab.norms.functional.activation import ACTIVATIONS, activate

Images = Float[Tensor, "n c h w"]

MEMORY_FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}

TOLERANCES = {
    torch.float64: 1e-10,
    torch.float32: 2e-5,
    torch.bfloat16: 2**-6,
    torch.float16: 2**-9,
}
"""Largest allowed `relative_error` by dtype: a few roundings, each of half the last digit."""


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """max|actual − expected| / max|expected|, in float64; 0 where both are 0, ∞ for NaN.

    Relative to the largest value and not value by value: gradients of normalizations sum to
    about 0, and single values near 0 have no relative precision in any implementation.

    Args:
        actual: a tensor of any dtype.
        expected: the truth, of the same shape.

    Returns:
        The error, at least 0.

    Raises:
        AssertionError: the shapes differ, so that there is nothing to compare.

    >>> relative_error(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 5.0]))
    0.2
    """
    if actual.shape != expected.shape:
        raise AssertionError(f"shape {tuple(actual.shape)} is not {tuple(expected.shape)}")
    if actual.numel() == 0:
        return 0.0
    actual, expected = actual.detach().double(), expected.detach().double()
    difference = (actual - expected).abs().max().item()
    if difference == 0:
        return 0.0
    size = expected.abs().max().item()
    return difference / size if difference == difference and size > 0 else float("inf")


def assert_close(actual: Tensor, expected: Tensor, tolerance: float, what: str) -> float:
    """Assert that the relative error is at most `tolerance`, and return it.

    Args:
        actual: a tensor of any dtype.
        expected: the truth, of the same shape.
        tolerance: the largest error that is allowed; see TOLERANCES.
        what: what is compared, for the message.

    Returns:
        The error.

    Raises:
        AssertionError: it is larger; the sentence begins with `what`.

    >>> assert_close(torch.tensor([4.0]), torch.tensor([5.0]), 0.1, "y")
    Traceback (most recent call last):
    AssertionError: y: relative error 2.00e-01, allowed 1e-01
    """
    error = relative_error(actual, expected)
    if not error <= tolerance:
        raise AssertionError(f"{what}: relative error {error:.2e}, allowed {tolerance:.0e}")
    return error


class NormContract(ABC):
    """What every normalization of (N, C, H, W) tensors must hold, as tests.

    All inputs come from a fixed generator; the global one is neither read nor moved.
    """

    channels: int = 8
    """The number of channels of the tested inputs."""

    evaluation_is_per_sample: bool = True
    """Whether in evaluation the result for a sample does not depend on the others of its batch."""

    fuses_residual_and_activation: bool = True
    """It can be called as norm(x, residual=…, activation=…), one of `ACTIVATIONS`."""

    compiles: bool = True
    """torch.compile takes a training step as one graph, backward and buffers included."""

    recomputes: bool = True
    """Activation checkpointing changes neither gradients nor buffers."""

    tolerances: Mapping[torch.dtype, float] = TOLERANCES
    """The dtypes to which the module and its input can be converted, with the allowed error."""

    device: str = "cpu"
    """Where norm and inputs are, e.g. "cuda"; float64 is always the exact side."""

    @abstractmethod
    def make(self, channels: int) -> nn.Module:
        """A new norm for so many channels, as a user would make it; called for every test."""

    # ── inputs ────────────────────────────────────────────────────────────────────────────────

    def images(self, *shape: int, seed: int = 0) -> Images:
        """Random float64 images (N, H, W given) whose channels differ in mean and spread."""
        generator = torch.Generator().manual_seed(seed)
        samples, height, width = shape or (3, 5, 4)
        size = (samples, self.channels, height, width)
        x = torch.randn(size, generator=generator, dtype=torch.float64)
        channel = torch.arange(self.channels, dtype=torch.float64)[:, None, None]
        return (x * (1 + channel / self.channels) + channel / 2).to(self.device)

    def new(self) -> nn.Module:
        """A new norm, on the device."""
        return self.make(self.channels).to(self.device)

    def trained(self, steps: int = 2) -> nn.Module:
        """A float64 norm with random parameters that has seen some batches."""
        norm = self.make(self.channels).double()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in norm.parameters():
                parameter.uniform_(0.25, 0.75, generator=generator)
        norm = norm.to(self.device)
        for step in range(steps):
            norm(self.images(seed=10 + step))
        return norm

    # ── shape, layout, dtype ──────────────────────────────────────────────────────────────────

    def test_the_shape_is_kept_at_odd_sizes(self) -> None:
        """One sample, one row, one column, sides that are no power of two."""
        for shape in ((1, 3, 5), (2, 1, 7), (2, 7, 1), (3, 9, 6)):
            x = self.images(*shape)
            y = self.new().double()(x)
            assert y.shape == x.shape, f"(N, H, W) = {shape}: got {tuple(y.shape)}"
            assert y.isfinite().all(), f"(N, H, W) = {shape}: not finite"

    def test_both_memory_formats(self) -> None:
        """Same numbers; y and dx have x's format, also if dy comes in the other one."""
        x, dy = self.images(), self.images(seed=2)
        expected_y, expected_dx, _ = self._step(self.trained(), x, dy)
        for name, memory_format in MEMORY_FORMATS.items():
            for dy_name, dy_format in MEMORY_FORMATS.items():
                formats = f"x in {name}, dy in {dy_name}"
                own_x = x.contiguous(memory_format=memory_format)
                own_dy = dy.contiguous(memory_format=dy_format)
                y, dx, _ = self._step(self.trained(), own_x, own_dy)
                assert_close(y, expected_y, 1e-12, f"y, {formats}")
                assert_close(dx, expected_dx, 1e-10, f"dx, {formats}")
                assert y.is_contiguous(memory_format=memory_format), f"y lost its format, {formats}"
                assert dx.is_contiguous(memory_format=memory_format), (
                    f"dx lost its format, {formats}"
                )

    def test_an_input_that_is_a_view(self) -> None:
        """Every second column of a larger tensor."""
        view = self.images(3, 5, 8)[..., ::2]
        dy = self.images(3, 5, 4, seed=2)
        y, dx, _ = self._step(self.trained(), view, dy)
        expected_y, expected_dx, _ = self._step(self.trained(), view.contiguous(), dy)
        assert_close(y, expected_y, 1e-12, "y")
        assert_close(dx, expected_dx, 1e-10, "dx")

    def test_dtypes(self) -> None:
        """dtype in = dtype out, and as close to the float64 result as the dtype allows."""
        for dtype, tolerance in self.tolerances.items():
            norm = self.trained().to(dtype)
            x, dy = self.images().to(dtype), self.images(seed=2).to(dtype)
            exact = copy.deepcopy(norm).double()
            y, dx, gradients = self._step(norm, x, dy)
            expected_y, expected_dx, expected = self._step(exact, x.double(), dy.double())
            assert y.dtype == dx.dtype == dtype, f"{dtype} in, {y.dtype} out, {dx.dtype} back"
            assert_close(y, expected_y, tolerance, f"y in {dtype}")
            assert_close(dx, expected_dx, tolerance, f"dx in {dtype}")
            for name, gradient in gradients.items():
                assert_close(gradient, expected[name], tolerance, f"d{name} in {dtype}")
            evaluated = norm.eval()(x)
            assert_close(evaluated, exact.eval()(x.double()), tolerance, f"evaluation in {dtype}")

    def test_autocast_sums_in_full_precision(self) -> None:
        """Bfloat16 in and out under autocast; a mean of 300 does not swallow the spread."""
        norm = self.new()
        x = (self.images() + 300).bfloat16()
        expected = self.new().double()(x.double())
        with torch.autocast(self.device, dtype=torch.bfloat16):
            y = norm(x)
        assert y.dtype == torch.bfloat16, f"bfloat16 in, {y.dtype} out"
        assert_close(y, expected, self.tolerances[torch.bfloat16], "y under autocast")

    # ── gradients ─────────────────────────────────────────────────────────────────────────────

    def test_gradcheck(self) -> None:
        """All gradients of a training step against finite differences."""
        norm = self.trained()
        self._gradcheck(norm, list(norm.parameters()))

    def test_gradcheck_in_evaluation(self) -> None:
        """Gradients are right on fixed statistics too, as when fine-tuning with frozen ones."""
        norm = self.trained().eval()
        self._gradcheck(norm, list(norm.parameters()))

    # ── training and evaluation ───────────────────────────────────────────────────────────────

    def test_evaluation_before_any_training(self) -> None:
        """A fresh norm evaluates to finite numbers."""
        norm = self.new().double().eval()
        assert norm(self.images()).isfinite().all()

    def test_evaluation_changes_nothing(self) -> None:
        """Two evaluations give the same bits, and no buffer moves."""
        norm = self.trained().eval()
        before = copy.deepcopy(norm.state_dict())
        first, second = norm(self.images()), norm(self.images())
        assert torch.equal(first, second), "two evaluations of one input differ"
        for name, value in norm.state_dict().items():
            assert torch.equal(value, before[name]), f"evaluation changed {name}"

    def test_evaluation_is_per_sample(self) -> None:
        """The first sample alone gives what it gives in a batch."""
        if not self.evaluation_is_per_sample:
            raise SkipTest("evaluation_is_per_sample is not promised")
        norm, x = self.trained().eval(), self.images(5, 5, 4)
        assert_close(norm(x[:1]), norm(x)[:1], 1e-12, "a sample alone")

    def test_no_global_randomness(self) -> None:
        """Two new norms give the same bits, and the global generator stays where it was."""
        before = torch.random.get_rng_state()
        one, other = self.new().double(), self.new().double()
        assert torch.equal(one(self.images()), other(self.images())), "two new norms differ"
        assert torch.equal(torch.random.get_rng_state(), before), "the global generator was used"

    def test_nothing_keeps_the_graph_alive(self) -> None:
        """After a step no buffer requires a gradient; a second step needs nothing of the first."""
        norm = self.trained()
        for seed in (3, 4):
            self._step(norm, self.images(seed=seed), self.images(seed=2))
        for name, buffer in norm.named_buffers():
            assert not buffer.requires_grad, f"buffer {name} requires a gradient"

    # ── residual and activation ───────────────────────────────────────────────────────────────

    def test_fused_equals_unfused(self) -> None:
        """norm(x, residual, activation) = act(norm(x) + residual), forward and backward."""
        if not self.fuses_residual_and_activation:
            raise SkipTest("fuses_residual_and_activation is not promised")
        x, dy = self.images(), self.images(seed=2)
        for activation in ACTIVATIONS:
            for residual in (None, self.images(seed=5)):
                what = f"{activation}{'' if residual is None else ' with residual'}"
                fused, unfused = self.trained(), self.trained()
                fused_x, unfused_x = (x.clone().requires_grad_() for _ in range(2))
                fused_r, unfused_r = (
                    None if residual is None else residual.clone().requires_grad_()
                    for _ in range(2)
                )
                y = fused(fused_x, residual=fused_r, activation=activation)
                z = unfused(unfused_x)
                expected = activate(z if unfused_r is None else z + unfused_r, activation)
                y.backward(dy)
                expected.backward(dy)
                assert_close(y, expected, 1e-12, f"y, {what}")
                pairs = {"x": (fused_x, unfused_x)}
                if fused_r is not None and unfused_r is not None:
                    pairs["residual"] = (fused_r, unfused_r)
                others = dict(unfused.named_parameters())
                pairs |= {name: (p, others[name]) for name, p in fused.named_parameters()}
                for name, (one, other) in pairs.items():
                    assert one.grad is not None, f"no gradient for {name}, {what}"
                    assert other.grad is not None, f"no gradient for {name}, {what}"
                    assert_close(one.grad, other.grad, 1e-10, f"d{name}, {what}")

    # ── under torch's tools ───────────────────────────────────────────────────────────────────

    def test_compiled_training(self) -> None:
        """Two compiled steps, each one graph, give what two plain ones do."""
        if not self.compiles:
            raise SkipTest("compiles is not promised")
        torch.compiler.reset()
        norm = self.trained()
        self._assert_same_training(norm, torch.compile(norm, fullgraph=True, backend="aot_eager"))

    def test_checkpointed_training(self) -> None:
        """Two steps whose backward runs the forward again give what two plain ones do."""
        if not self.recomputes:
            raise SkipTest("recomputes is not promised")
        norm = self.trained()
        self._assert_same_training(norm, lambda x: checkpoint(norm, x, use_reentrant=False))

    # ── saving and copying ────────────────────────────────────────────────────────────────────

    def test_state_dict_round_trip(self) -> None:
        """A new norm with the state of a trained one evaluates to the same bits."""
        norm, loaded = self.trained(), self.new().double()
        loaded.load_state_dict(norm.state_dict())
        self._assert_twins(norm, loaded)

    def test_deepcopy(self) -> None:
        """A copy computes the same and shares nothing."""
        norm = self.trained()
        twin = copy.deepcopy(norm)
        self._assert_twins(norm, twin)
        own = {tensor.data_ptr() for tensor in norm.state_dict().values()}
        shared = [name for name, t in twin.state_dict().items() if t.data_ptr() in own]
        assert not shared, f"the copy shares {', '.join(shared)}"

    def test_pickle(self) -> None:
        """Worker processes get the same norm."""
        norm = self.trained()
        self._assert_twins(norm, pickle.loads(pickle.dumps(norm)))

    # ── helpers ───────────────────────────────────────────────────────────────────────────────

    def _step(
        self, norm: nn.Module, x: Tensor, dy: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """y, dx and the gradients of the parameters."""
        x = x.detach().requires_grad_()
        norm.zero_grad()
        y: Tensor = norm(x)
        y.backward(dy)
        assert x.grad is not None
        gradients = {name: p.grad for name, p in norm.named_parameters() if p.grad is not None}
        return y.detach(), x.grad, gradients

    def _assert_same_training(self, norm: nn.Module, run: Callable[[Tensor], Tensor]) -> None:
        """`run` calls the norm in another way, in two steps of training."""
        plain = copy.deepcopy(norm)
        for seed in (3, 4):
            x, dy = self.images(seed=seed), self.images(seed=2)
            expected_y, expected_dx, expected = self._step(plain, x, dy)
            x.requires_grad_()
            norm.zero_grad()
            y = run(x)
            y.backward(dy)
            assert x.grad is not None
            assert_close(y, expected_y, 1e-10, "y")
            assert_close(x.grad, expected_dx, 1e-10, "dx")
            for name, parameter in norm.named_parameters():
                zero = torch.zeros_like(parameter)
                own = zero if parameter.grad is None else parameter.grad
                assert_close(own, expected.get(name, zero), 1e-10, f"d{name}")
        for name, buffer in plain.named_buffers():
            assert_close(norm.get_buffer(name), buffer, 1e-10, name)

    def _gradcheck(self, norm: nn.Module, parameters: list[nn.Parameter]) -> None:
        x = self.images(2, 2, 3).requires_grad_()
        # The parameters are perturbed in place, so they need not be arguments of the function.
        assert torch.autograd.gradcheck(lambda x, *_: norm(x), (x, *parameters))

    def _assert_twins(self, norm: nn.Module, twin: nn.Module) -> None:
        x = self.images(seed=6)
        assert torch.equal(norm(x), twin(x)), "they differ in training"
        assert torch.equal(norm.eval()(x), twin.eval()(x)), "they differ in evaluation"
