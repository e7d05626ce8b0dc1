"""The four plane operators against float64, and as the dispatcher wants operators to be."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from normlab.norms.functional import planes
from normlab.norms.functional.activation import ACTIVATIONS, LEAKY_SLOPE, Activation
from normlab.testing import MEMORY_FORMATS, assert_close, relative_error

SHAPES = [(3, 4, 5, 7), (1, 1, 1, 1), (2, 8, 1, 9), (1, 3, 33, 17), (2, 5, 16, 16)]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
SWEEP_TOLERANCE = {
    torch.float64: 1e-13,
    torch.float32: 1e-6,
    torch.bfloat16: 2**-8,  # one rounding of the result, whatever happens in between
    torch.float16: 2**-11,
}


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def shape_name(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def draw(*shape: int, seed: int, dtype: torch.dtype, layout: str = "nchw") -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)
    return values.contiguous(memory_format=MEMORY_FORMATS[layout]) if len(shape) == 4 else values


def plane_values(x: Tensor, count: int) -> list[Tensor]:
    """N×C numbers in the dtype of x's statistics."""
    dtype = planes.statistics_dtype(x)
    return [draw(*x.shape[:2], seed=20 + i, dtype=dtype) for i in range(count)]


def spread(values: Tensor) -> Tensor:
    return values.double()[:, :, None, None]


def derivative(pivot: Tensor, activation: Activation) -> Tensor:
    """act' as a function of the pre-activation, by automatic differentiation of torch's own."""
    z = pivot.double().requires_grad_()
    torch_activation = {
        "none": lambda z: z,
        "relu": functional.relu,
        "leaky_relu": lambda z: functional.leaky_relu(z, LEAKY_SLOPE),
        "silu": functional.silu,
    }[activation]
    return torch.autograd.grad(torch_activation(z).sum(), z)[0]


@pytest.mark.parametrize("layout", MEMORY_FORMATS)
@pytest.mark.parametrize("dtype", DTYPES, ids=dtype_name)
@pytest.mark.parametrize("shape", SHAPES, ids=shape_name)
def test_statistics(shape: tuple[int, ...], dtype: torch.dtype, layout: str) -> None:
    x = draw(*shape, seed=0, dtype=dtype, layout=layout) + 1
    mean, variance = planes.statistics(x)
    assert mean.dtype == variance.dtype == planes.statistics_dtype(x)
    exact = x.double()
    center = exact.sum((2, 3)) / (shape[2] * shape[3])
    assert_close(mean, center, 1e-6, "mean")
    assert_close(variance, (exact - spread(center)).square().mean((2, 3)), 1e-6, "variance")


@pytest.mark.parametrize("layout", MEMORY_FORMATS)
@pytest.mark.parametrize("ratio", [1, 10, 1e3, 1e4])
def test_variance_far_from_zero(ratio: float, layout: str, record_testsuite_property) -> None:
    """E[x²] − μ² in float32 has no correct digit left at mean/std = 10⁴."""
    x = draw(4, 3, 64, 64, seed=1, dtype=torch.float32, layout=layout) + ratio
    exact = x.double().var((2, 3), correction=0)
    error = ((planes.statistics(x)[1] - exact) / exact).abs().max().item()
    record_testsuite_property(f"variance error, mean/std {ratio:g}, {layout}", error)
    assert error < 1e-5

    naive = x.square().mean((2, 3)) - x.mean((2, 3)).square()
    if ratio >= 1e3:
        assert ((naive - exact) / exact).abs().max().item() > 1e-3  # this test can fail


@pytest.mark.parametrize("with_residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layout", MEMORY_FORMATS)
@pytest.mark.parametrize("dtype", DTYPES, ids=dtype_name)
def test_affine(
    dtype: torch.dtype, layout: str, activation: Activation, with_residual: bool
) -> None:
    for shape in SHAPES:
        x = draw(*shape, seed=0, dtype=dtype, layout=layout)
        residual = draw(*shape, seed=1, dtype=dtype) if with_residual else None
        center, scale, offset = plane_values(x, 3)
        y = planes.affine(x, center, scale, offset, residual, activation)
        z = (x.double() - spread(center)) * spread(scale) + spread(offset)
        if residual is not None:
            z = z + residual.double()
        assert y.dtype == dtype
        assert y.is_contiguous(memory_format=MEMORY_FORMATS[layout])
        assert_close(y, planes.activate(z, activation), SWEEP_TOLERANCE[dtype], shape_name(shape))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layout", MEMORY_FORMATS)
@pytest.mark.parametrize("dtype", DTYPES, ids=dtype_name)
def test_both_backward_sweeps(dtype: torch.dtype, layout: str, activation: Activation) -> None:
    """dy comes in the other layout; the pivot has the signs of the pre-activation."""
    other = "nchw" if layout == "channels_last" else "channels_last"
    for shape in SHAPES:
        x = draw(*shape, seed=0, dtype=dtype, layout=layout)
        dy = draw(*shape, seed=2, dtype=dtype, layout=other)
        pivot = None if activation == "none" else draw(*shape, seed=3, dtype=dtype, layout=layout)
        center, scale, p, q = plane_values(x, 4)
        dz = dy.double() if pivot is None else dy.double() * derivative(pivot, activation)
        centred = x.double() - spread(center)

        s1, s2 = planes.sums(dy, x, center, pivot, activation)
        assert s1.dtype == s2.dtype == planes.statistics_dtype(x)
        terms = shape[2] * shape[3]
        for actual, summed in ((s1, dz), (s2, dz * centred)):  # relative to the summands: they
            error = (actual - summed.sum((2, 3))).abs().max()  # cancel
            assert error <= 1e-6 * terms * summed.abs().max()

        expected = spread(scale) * dz + spread(p) * centred + spread(q)
        for needs_dz in (False, True):
            dx, dz_out = planes.affine_backward(
                dy, x, center, pivot, scale, p, q, activation, needs_dz=needs_dz
            )
            assert dx.dtype == dtype
            assert dx.is_contiguous(memory_format=MEMORY_FORMATS[layout])
            assert_close(dx, expected, SWEEP_TOLERANCE[dtype], f"dx {shape_name(shape)}")
            assert (dz_out is not None) == needs_dz
            if dz_out is not None:
                assert dz_out.data_ptr() != dy.data_ptr()  # an operator may not return its input
                assert_close(dz_out, dz, SWEEP_TOLERANCE[dtype], f"dz {shape_name(shape)}")


@pytest.mark.parametrize("memory", ["strided", "expanded", "offset"])
def test_odd_memory(memory: str) -> None:
    """Every second column, one row for all, a tensor that does not start its storage."""
    base = draw(3, 4, 6, 10, seed=4, dtype=torch.float32)
    view = {
        "strided": base[..., ::2],
        "expanded": base[:, :, :1].expand(3, 4, 6, 10),
        "offset": base[1:, 1:],
    }[memory]
    dense = view.clone(memory_format=torch.contiguous_format)
    center, scale, offset = plane_values(dense, 3)
    for actual, expected in zip(planes.statistics(view), planes.statistics(dense), strict=True):
        assert_close(actual, expected, 1e-6, "statistics")
    y = planes.affine(view, center, scale, offset, view, "relu")
    assert_close(y, planes.affine(dense, center, scale, offset, dense, "relu"), 1e-6, "affine")
    dx, dz = planes.affine_backward(
        view, view, center, view, scale, center, offset, "relu", needs_dz=True
    )
    expected_dx, expected_dz = planes.affine_backward(
        dense, dense, center, dense, scale, center, offset, "relu", needs_dz=True
    )
    assert_close(dx, expected_dx, 1e-6, "dx")
    assert_close(dz, expected_dz, 1e-6, "dz")


def test_channels_of_evaluation_are_expanded() -> None:
    """fixed_affine hands over (C,) values expanded to N×C, with stride 0 along n."""
    x = draw(3, 4, 5, 6, seed=0, dtype=torch.float32)
    center, scale, offset = (values[0].expand(3, 4) for values in plane_values(x, 3))
    dense = (values.contiguous() for values in (center, scale, offset))
    assert torch.equal(planes.affine(x, center, scale, offset), planes.affine(x, *dense))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=dtype_name)
@pytest.mark.parametrize("activation", ["none", "silu"])
def test_the_operators_are_sound(activation: Activation, dtype: torch.dtype) -> None:
    """Schemas without undeclared aliasing, shapes on fake tensors as on real ones."""
    x = draw(2, 3, 4, 5, seed=0, dtype=dtype, layout="channels_last")
    center, scale, p, q = plane_values(x, 4)
    pivot = None if activation == "none" else x
    calls = {
        "plane_statistics": (x,),
        "plane_affine": (x, center, scale, p, x, activation),
        "plane_sums": (x, x, center, pivot, activation),
        "plane_affine_backward": (x, x, center, pivot, scale, p, q, activation, True),
    }
    for name, arguments in calls.items():
        operator = getattr(torch.ops.normlab, name).default
        torch.library.opcheck(operator, arguments, test_utils=("test_schema", "test_faketensor"))


def test_relu_lets_no_infinity_through_its_flat_side() -> None:
    """A product with the mask would give 0·∞ = NaN where torch's relu gives 0."""
    x = torch.full((1, 1, 1, 2), 1.0)
    dy = torch.tensor([[[[float("inf"), 2.0]]]])
    pivot = torch.tensor([[[[0.0, 1.0]]]])
    zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    dx, _ = planes.affine_backward(dy, x, zero, pivot, one, zero, zero, "relu")
    assert dx.tolist() == [[[[0.0, 2.0]]]]


def test_relative_error_sees_a_wrong_sweep() -> None:
    x = draw(2, 3, 4, 4, seed=0, dtype=torch.float32)
    mean, _ = planes.statistics(x)
    assert relative_error(mean + 1e-4, x.double().mean((2, 3))) > 1e-5
