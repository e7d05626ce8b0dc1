"""Mirror and shift, by hand on a tiny picture."""

from __future__ import annotations

import torch

from normlab.data.augment import Draws, augment, draw


def picture() -> torch.Tensor:
    """One image of 3×3 with the values 1 to 9."""
    return torch.arange(1, 10, dtype=torch.uint8).reshape(1, 3, 3, 1).expand(1, 3, 3, 3)


def moved(mirrored: bool, down: int, right: int) -> list[list[int]]:
    draws = Draws(torch.tensor([mirrored]), torch.tensor([[down, right]]))
    pixels, mask = augment(picture(), draws)
    return (pixels[0, :, :, 0] * mask[0, :, :, 0]).int().tolist()


def test_nothing() -> None:
    assert moved(False, 0, 0) == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_mirror() -> None:
    assert moved(True, 0, 0) == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]


def test_shift_down_and_right_leaves_nothing_behind() -> None:
    assert moved(False, 1, 0) == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert moved(False, 0, -1) == [[2, 3, 0], [5, 6, 0], [8, 9, 0]]


def test_mirror_then_shift() -> None:
    assert moved(True, 0, 1) == [[0, 3, 2], [0, 6, 5], [0, 9, 8]]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_presets_differ_in_their_effect_alone() -> None:
    light, shift, none = (draw(name, 500, 32, generator()) for name in ("light", "shift", "none"))
    assert torch.equal(light.shifts, shift.shifts)
    assert 200 < int(light.mirrored.sum()) < 300
    assert not shift.mirrored.any()
    assert not none.mirrored.any()
    assert not none.shifts.any()
    assert set(light.shifts.flatten().tolist()) == set(range(-4, 5))


def test_every_image_has_its_own_draw_whatever_the_batch() -> None:
    pixels = torch.randint(0, 256, (30, 16, 16, 3), dtype=torch.uint8, generator=generator())
    draws = draw("light", 30, 16, generator())
    whole, mask = augment(pixels, draws)
    for size in (1, 7, 30):
        for first in range(0, 30, size):
            place = slice(first, first + size)
            part, part_mask = augment(pixels[place], draws[place])
            assert torch.equal(part, whole[place])
            assert torch.equal(part_mask, mask[place])
