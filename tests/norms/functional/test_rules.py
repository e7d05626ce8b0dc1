"""The rules on N×C numbers: what they merge, by the same formula on all values at once."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from normlab.norms.functional import rules
from normlab.testing import assert_close

EPS = 1e-5
N, C, M = 3, 8, 11


def planes_with_statistics() -> tuple[Tensor, Tensor, Tensor]:
    """Values (N, C, M) with the mean and variance of every plane."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, C, M, generator=generator, dtype=torch.float64)
    x = x * (1 + torch.arange(C)[:, None]) + torch.arange(N)[:, None, None]
    return x, x.mean(2), x.var(2, correction=0)


def apply(x: Tensor, mean: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    return (x - mean[..., None]) * scale[..., None] + offset[..., None]


@pytest.mark.parametrize(
    ("rule", "axes", "grouped"),
    [
        (rules.instance, (2,), (N, C, M)),
        (rules.layer, (1, 2), (N, C, M)),
        (rules.batch, (0, 2), (N, C, M)),
        (partial(rules.group, num_groups=4), (2, 3), (N, 4, C // 4, M)),
        (partial(rules.group, num_groups=1), (2, 3), (N, 1, C, M)),
        (partial(rules.group, num_groups=C), (2, 3), (N, C, 1, M)),
    ],
    ids=["instance", "layer", "batch", "group-4", "group-1", "group-C"],
)
def test_a_rule_standardizes_over_its_axes(rule, axes: tuple[int, ...], grouped) -> None:
    x, mean, variance = planes_with_statistics()
    weight, bias = torch.rand(2, C, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = apply(x, mean, *rule(mean, variance, weight, bias, eps=EPS))
    values = x.reshape(grouped)
    center = values.mean(axes, keepdim=True)
    deviation = (values - center).square().mean(axes, keepdim=True).add(EPS).sqrt()
    expected = ((values - center) / deviation).reshape(x.shape) * weight[:, None] + bias[:, None]
    assert_close(y, expected, 1e-13, "y")


@pytest.mark.parametrize("gate", [0.0, 0.3, 1.0])
def test_batch_instance_blends_the_two(gate: float) -> None:
    _, mean, variance = planes_with_statistics()
    rho = torch.full((C,), gate, dtype=torch.float64)
    blended = rules.batch_instance(mean, variance, None, None, rho, eps=EPS)
    batch = rules.batch(mean, variance, None, None, eps=EPS)
    instance = rules.instance(mean, variance, None, None, eps=EPS)
    for value, b, i in zip(blended, batch, instance, strict=True):
        assert_close(value, gate * b + (1 - gate) * i, 1e-14, "scale or offset")


def test_batch_instance_takes_running_statistics_for_its_batch_part_alone() -> None:
    """Nam & Kim 2018: the instance's statistics are always those of x."""
    _, mean, variance = planes_with_statistics()
    running = tuple(torch.full((C,), value, dtype=torch.float64) for value in (2, 9 - EPS))
    zeros, ones = torch.zeros(C, dtype=torch.float64), torch.ones(C, dtype=torch.float64)
    rule = partial(rules.batch_instance, mean, variance, None, None, eps=EPS, running=running)
    scale, offset = rule(ones)
    assert_close(scale, torch.full_like(mean, 1 / 3), 1e-12, "scale of the batch part")
    assert_close(offset, (mean - 2) / 3, 1e-12, "offset of the batch part")
    own = rules.instance(mean, variance, None, None, eps=EPS)
    for actual, expected in zip(rule(zeros), own, strict=True):
        assert_close(actual, expected, 1e-14, "the instance part")


def test_affine_parts_are_optional() -> None:
    scale, offset = torch.full((N, C), 2.0), torch.full((N, C), 3.0)
    weight, bias = torch.full((C,), 5.0), torch.full((C,), 7.0)
    cases = {
        (None, None): (2, 3),
        (weight, None): (10, 15),
        (None, bias): (2, 10),
        (weight, bias): (10, 22),
    }
    for parameters, expected in cases.items():
        found = rules.apply_affine(scale, offset, *parameters)
        assert [value.unique().item() for value in found] == list(expected)


@settings(max_examples=50, deadline=None)
@given(
    parts=st.integers(1, 6),
    values=st.integers(1, 9),
    center=st.floats(-1e3, 1e3),
    seed=st.integers(0, 2**31),
)
def test_merging_equal_parts_is_exact(parts: int, values: int, center: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(parts, values, generator=generator, dtype=torch.float64) + center
    mean, variance = rules.merge(x.mean(1), x.var(1, correction=0), dim=0)
    torch.testing.assert_close(mean, x.mean().reshape(1))
    torch.testing.assert_close(variance, x.var(correction=0).reshape(1), rtol=1e-9, atol=1e-12)


def test_merging_far_from_zero_keeps_the_digits() -> None:
    """In float32, at mean/std = 10³: mean of E[x²] − mean² would be off by per cents."""
    generator = torch.Generator().manual_seed(2)
    x = (torch.randn(64, 256, generator=generator) + 1e3).float()
    _, variance = rules.merge(x.mean(1), x.var(1, correction=0), dim=0)
    assert_close(variance, x.double().var(correction=0).reshape(1), 1e-5, "variance")
