"""Augmentation in one pass: the same bits by both implementations, the first method's policy."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from normlab.data.augment import colour, space
from normlab.data.augment import one_pass as module
from normlab.data.augment.apply import augment
from normlab.data.augment.draws import draw
from normlab.data.augment.one_pass import WHITE, OnePass, apply, by_operations, one_pass
from normlab.data.augment.policy import in_one_pass, operations
from normlab.data.load import standardise
from normlab.norms.fused.cpu.build import ONE_PASS
from normlab.norms.fused.cpu.loader import has_operators
from normlab.records.run import DataSpec, RunSpec

MEAN, STD = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
POLICIES = ("standard", "crop", "jitter", "shift+rotate", "mirror+erase")


def generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(size: int, count: int = 7, *, smooth: bool = True) -> Tensor:
    if not smooth:
        return torch.randint(
            0, 256, (count, size, size, 3), generator=generator(1), dtype=torch.uint8
        )
    coarse = torch.rand(count, 3, 4, 4, generator=generator(1))
    fine = torch.nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 1)
    return (fine * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def operated(pixels: Tensor, moves: OnePass) -> Tensor:
    weights = torch.tensor(colour.GREY, dtype=torch.float64) / (WHITE * pixels.shape[1] ** 2)
    return by_operations(
        pixels, moves.maps, moves.matrices, moves.contrasts, weights, MEAN, 1 / STD
    )


@pytest.mark.skipif(not has_operators(ONE_PASS), reason="there is no C++ compiler")
@pytest.mark.parametrize("size", [8, 17, 64])
@pytest.mark.parametrize("policy", POLICIES)
def test_kernel_and_operations_give_the_same_bits(size: int, policy: str) -> None:
    pixels = pictures(size, smooth=False)
    moves = one_pass(draw(7, size, generator()), operations(policy), size)
    compiled, plain = apply(pixels, moves, MEAN, STD), operated(pixels, moves)
    assert torch.equal(compiled, plain)
    assert compiled.is_contiguous(memory_format=torch.channels_last)
    assert plain.is_contiguous(memory_format=torch.channels_last)
    other = one_pass(draw(7, size, generator(6)), operations(policy), size)
    assert not torch.equal(compiled, operated(pixels, other))


@pytest.mark.parametrize("policy", POLICIES)
def test_it_is_the_policy_of_the_first_method(policy: str) -> None:
    """But for positions of 1/64 pixel, and at the very edge of the image."""
    pixels, draws = pictures(32), draw(7, 32, generator())
    still = operations(policy) - {"erase"}
    first = augment(pixels, draws, still, MEAN, STD)
    second = apply(pixels, one_pass(draws, still, 32), MEAN, STD)
    apart = (first - second).abs()
    assert apart.median() < 0.01
    assert (apart > 0.05).float().mean() < 0.002


def test_nothing_is_nothing() -> None:
    pixels = pictures(16)
    moves = one_pass(draw(7, 16, generator()), frozenset(), 16)
    assert torch.allclose(
        apply(pixels, moves, MEAN, STD), standardise(pixels, MEAN, STD), atol=1e-6
    )


def test_a_quarter_turn_and_what_lies_outside() -> None:
    pixels, plain = pictures(16), one_pass(draw(7, 16, generator()), frozenset(), 16)
    turn = space.rotate(
        space.identity(7, torch.device("cpu"), torch.float64), torch.full((7,), 90.0).double()
    )
    turned = OnePass(module._in_pixels(turn, 16), plain.matrices, plain.contrasts)
    found = apply(pixels, turned, MEAN, STD)
    expected = apply(pixels, plain, MEAN, STD).rot90(1, (2, 3))
    assert torch.allclose(found, expected, atol=2 / 64 / 0.2)
    away = plain.maps.clone()
    away[:, 2] += 16 << 16
    gone = apply(pixels, OnePass(away, plain.matrices, plain.contrasts), MEAN, STD)
    assert torch.equal(gone, torch.zeros_like(gone))


def test_an_image_does_not_depend_on_its_batch() -> None:
    pixels = pictures(24)
    moves = one_pass(draw(7, 24, generator()), operations("standard"), 24)
    whole = apply(pixels, moves, MEAN, STD)
    parts = [apply(pixels[k : k + 3], moves[k : k + 3], MEAN, STD) for k in (0, 3, 6)]
    assert torch.equal(torch.cat(parts), whole)


def test_without_a_compiler_the_operations_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = pictures(24)
    moves = one_pass(draw(7, 24, generator()), operations("standard"), 24)
    before = apply(pixels, moves, MEAN, STD)
    monkeypatch.setattr("normlab.data.augment.one_pass.has_operators", lambda kernel: False)
    assert torch.equal(apply(pixels, moves, MEAN, STD), before)
    assert torch.equal(operated(pixels, moves), before)


def test_the_operations_run_on_any_device() -> None:
    pixels, moves = pictures(24).to("meta"), one_pass(draw(7, 24, generator()), frozenset(), 24)
    found = apply(pixels, moves, MEAN.to("meta"), STD.to("meta"))
    assert found.shape == (7, 3, 24, 24)
    assert found.device.type == "meta"


def test_where_it_applies() -> None:
    names = ("none", "light", "mirror", "erase", "strong", "crop+rand", "light+mixup")
    assert not any(in_one_pass(operations(name)) for name in names)
    assert all(in_one_pass(operations(name)) for name in (*POLICIES, "jitter+cutmix"))


def test_runs_of_before_keep_their_ids() -> None:
    data = DataSpec(fingerprint="", classes=("a", "b"), image_size=32)
    run = RunSpec(arm="bn", block=0, data=data, norm="bn", augmentation="standard")
    assert run.id == "396b3e77d824"  # as before there was a method
    assert run.model_copy(update={"augmentation_method": 2}).id != run.id
