"""Augmentation against Pillow, by hand, and as a pure function of its draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from pydantic import ValidationError
from torch import Tensor

from normlab.data.augment import chosen, colour, mix, space
from normlab.data.augment.apply import augment
from normlab.data.augment.draws import OPERATIONS, Draws, draw
from normlab.data.augment.moves import move
from normlab.data.augment.policy import MIXING, moves_alone, operations
from normlab.records.run import AUGMENTATION_PRESETS, AUGMENTATIONS, DataSpec, RunSpec

SIZE = 32
ZERO, ONE = torch.zeros(3), torch.ones(3)


def generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 6) -> Tensor:
    """Smooth colourful uint8 pictures (count, s, s, 3)."""
    coarse = torch.rand(count, 3, 5, 5, generator=generator(1))
    fine = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 1)
    return (fine * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def floats(pixels: Tensor) -> Tensor:
    return pixels.permute(0, 3, 1, 2).float() / 255


def pillow(image: Tensor) -> Image.Image:
    return Image.fromarray(image.numpy())


def levels(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).float()


def run(policy: str, draws: Draws, pixels: Tensor) -> Tensor:
    return augment(pixels, draws, operations(policy), ZERO, ONE)


def test_presets_and_parts() -> None:
    assert operations("none") == frozenset()
    assert operations("strong") == {"mirror", "crop", "trivial", "erase", "mixup", "cutmix"}
    assert operations("crop+mirror") == {"crop", "mirror"}
    assert moves_alone(operations("light"))
    assert not moves_alone(operations("standard"))
    assert all(operations(name) <= set(AUGMENTATIONS) for name in AUGMENTATION_PRESETS)
    assert len(chosen.NAMES) == OPERATIONS


def spec(augmentation: str) -> RunSpec:
    data = DataSpec(fingerprint="", classes=("a", "b"), image_size=32)
    return RunSpec(arm="bn", block=0, data=data, norm="bn", augmentation=augmentation)


def test_names_are_checked() -> None:
    assert spec("mirror+erase").augmentation == "mirror+erase"
    with pytest.raises(ValidationError, match="mirror"):
        spec("miror+erase")
    with pytest.raises(ValidationError, match="cannot be joined"):
        spec("light+erase")


@pytest.mark.parametrize("name", [*AUGMENTATIONS[:8], "standard"])
def test_an_image_does_not_depend_on_its_batch(name: str) -> None:
    pixels, draws = pictures(12), draw(12, SIZE, generator())
    whole = run(name, draws, pixels)
    parts = [run(name, draws[k : k + 5], pixels[k : k + 5]) for k in (0, 5, 10)]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-6)
    assert torch.equal(run(name, draws, pixels), whole)
    assert not torch.equal(whole, floats(pixels))


def test_global_generators_are_left_alone() -> None:
    before = torch.random.get_rng_state()
    run("strong", draw(6, SIZE, generator()), pictures())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_shift_and_mirror_by_maps_are_those_by_pixels() -> None:
    pixels = pictures(20)
    draws = draw(20, SIZE, generator())
    maps = space.identity(20, pixels.device)
    share = draws.shifts / SIZE
    maps = space.shift(maps, share[:, 1], share[:, 0])
    images, mask = space.resample(floats(pixels), space.mirror(maps, draws.mirrored))
    from normlab.data.augment.moves import move

    expected, inside = move(pixels, draws, frozenset({"mirror", "shift"}))
    # By maps the mirror comes last, by pixels first: a mirrored image is shifted the other way.
    still = ~draws.mirrored
    inside = inside.permute(0, 3, 1, 2)
    assert torch.equal(mask[still], inside[still])
    assert torch.allclose((images * mask)[still], (floats(expected) * inside)[still], atol=1e-5)


def test_a_turn_of_a_quarter() -> None:
    images = floats(pictures())
    maps = space.rotate(space.identity(6, images.device), torch.full((6,), 90.0))
    turned, mask = space.resample(images, maps)
    assert mask.min() == 1
    assert torch.allclose(turned, images.rot90(1, (2, 3)), atol=1e-4)


def test_a_crop_is_a_part_of_the_stated_area() -> None:
    draws = draw(400, SIZE, generator()).crop
    maps = space.crop(space.identity(400, draws.device), draws)
    width, height = maps[:, 0, 0], maps[:, 1, 1]
    area = width * height
    assert area.min() > 0.35
    assert area.max() <= 1
    assert (width / height).max() < 4 / 3 + 1e-4
    for axis, side in ((0, width), (1, height)):
        assert (maps[:, axis, 2].abs() + side <= 1 + 1e-6).all()  # never outside


def test_the_mean_colour_where_nothing_came_to_lie() -> None:
    draws = replace(draw(6, SIZE, generator()), angle=torch.ones(6))
    images = augment(pictures(), draws, frozenset({"rotate"}), torch.full((3,), 0.4), ONE)
    assert (images[:, :, 0, 0] == 0).all()
    assert (images[:, :, 16, 16] != 0).all()


@pytest.mark.parametrize("name", ["Brightness", "Contrast", "Color"])
@pytest.mark.parametrize("factor", [0.3, 0.8, 1.4])
def test_blends_are_those_of_pillow(name: str, factor: float) -> None:
    pixels = pictures()
    factors = [
        torch.full((6,), factor if name == each else 1.0)
        for each in ("Brightness", "Contrast", "Color")
    ]
    got = colour.apply_map(floats(pixels), *colour.blend_maps(floats(pixels), *factors))
    for number in range(6):
        expected = levels(getattr(ImageEnhance, name)(pillow(pixels[number])).enhance(factor))
        assert (got[number].permute(1, 2, 0) * 255 - expected).abs().max() < 2.1


@pytest.mark.parametrize("factor", [0.1, 1.0, 1.9])
def test_sharpness_is_that_of_pillow(factor: float) -> None:
    pixels = pictures()
    got = colour.sharpen(floats(pixels), torch.full((6,), factor))
    for number in range(6):
        expected = levels(ImageEnhance.Sharpness(pillow(pixels[number])).enhance(factor))
        assert (got[number].permute(1, 2, 0) * 255 - expected).abs().max() < 1.6


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda x: colour.posterize(x, torch.full((6,), 3.0)), lambda i: ImageOps.posterize(i, 3)),
        (
            lambda x: colour.solarize(x, torch.full((6,), 128 / 255)),
            lambda i: ImageOps.solarize(i, 128),
        ),
        (colour.auto_contrast, ImageOps.autocontrast),
    ],
)
def test_tables_are_those_of_pillow(ours, theirs) -> None:
    pixels = pictures()
    got = ours(floats(pixels))
    for number in range(6):
        expected = levels(theirs(pillow(pixels[number])))
        assert (got[number].permute(1, 2, 0) * 255 - expected).abs().max() < 1.1


def test_equalized_levels_are_even() -> None:
    got = colour.equalize(floats(pictures())).flatten(2)
    for plane in got.flatten(0, 1):
        quantiles = torch.quantile(plane, torch.tensor([0.25, 0.5, 0.75]))
        assert torch.allclose(quantiles, torch.tensor([0.25, 0.5, 0.75]), atol=0.03)
    flat = torch.full((1, 3, 4, 4), 0.5)
    assert colour.equalize(flat).isfinite().all()


def test_grey_has_no_hue() -> None:
    grey = torch.rand(2, 1, 4, 4, generator=generator()).expand(-1, 3, -1, -1)
    turned = colour.apply_map(grey, colour.hue_map(torch.tensor([50.0, -120.0])), torch.zeros(2, 3))
    assert torch.allclose(turned, grey, atol=1e-6)
    red = torch.zeros(1, 3, 1, 1)
    red[0, 0] = 1
    turned = colour.apply_map(red, colour.hue_map(torch.tensor([120.0])), torch.zeros(1, 3))
    assert torch.allclose(turned.flatten(), torch.tensor([0.0, 1, 0]), atol=1e-6)


def test_every_chosen_operation_acts_on_who_chose_it() -> None:
    images = floats(pictures(OPERATIONS))
    operation = torch.arange(OPERATIONS)
    strength, negative = torch.full((OPERATIONS,), 0.7), torch.zeros(OPERATIONS, dtype=torch.bool)
    maps = chosen.warp(
        space.identity(OPERATIONS, images.device), operation, strength, negative, chosen.TRIVIAL
    )
    in_space = (maps - torch.eye(3)).abs().amax((1, 2)) > 0
    recoloured = chosen.recolour(images.clone(), operation, strength, negative, chosen.TRIVIAL)
    in_colour = (recoloured - images).abs().amax((1, 2, 3)) > 1e-3
    assert [chosen.NAMES[k] for k in in_space.nonzero()[:, 0]] == [*chosen.NAMES[1:6]]
    assert [chosen.NAMES[k] for k in in_colour.nonzero()[:, 0]] == [*chosen.NAMES[6:]]


@pytest.mark.parametrize("policy", ["mixup", "cutmix"])
def test_labels_are_mixed_as_the_images_are(policy: str) -> None:
    """Images that are constant say themselves how much of each is left."""
    images = torch.arange(8.0)[:, None, None, None].expand(8, 3, SIZE, SIZE).contiguous()
    draws = draw(8, SIZE, generator())
    mixed, target = mix.mix(images, torch.arange(8), draws, frozenset({policy}), 8)
    assert torch.allclose(target.sum(1), torch.ones(8))
    assert torch.allclose(mixed.mean((1, 2, 3)), target @ torch.arange(8.0), atol=1e-4)
    assert (target.amax(1) < 1).any()


def test_both_mixtures_take_turns_by_batch() -> None:
    images = torch.arange(8.0)[:, None, None, None].expand(8, 3, SIZE, SIZE).contiguous()
    draws = draw(400, SIZE, generator())
    cut = 0
    for first in range(0, 400, 8):
        mixed, _ = mix.mix(
            images, torch.arange(8), draws[first : first + 8], frozenset({"mixup", "cutmix"}), 8
        )
        cut += bool((mixed == mixed.round()).all())
    assert 15 < cut < 35


def test_erased_rectangles() -> None:
    draws = draw(800, SIZE, generator()).erase
    images = mix.erase(torch.ones(800, 3, SIZE, SIZE), draws)
    gone = 1 - images[:, 0].mean((1, 2))
    assert 0.2 < (gone > 0).float().mean() < 0.3
    assert gone.max() < 0.4
    assert torch.equal(images[:, 0], images[:, 2])


def test_beta_is_symmetric_and_mostly_at_the_ends() -> None:
    values = mix.beta(torch.rand(4000, generator=generator()), 0.2)
    assert abs(float(values.mean()) - 0.5) < 0.03
    assert abs(float(values.var()) - 1 / (4 * 1.4)) < 0.01  # of Beta(α, α): 1/(4(2α + 1))


@pytest.mark.parametrize(
    "policy",
    ["light", "standard", "strong", "shift+rotate", "mirror+jitter", "rand", "mixup", "cutmix"],
)
def test_a_batch_on_a_device_waits_for_nothing(waits, policy: str) -> None:
    """The draws are on the CPU; everything that is asked of them is asked there."""
    meta = torch.device("meta")
    names = operations(policy)
    draws = draw(64, SIZE, generator())
    pixels = torch.empty((64, SIZE, SIZE, 3), dtype=torch.uint8, device=meta)
    mean, std = torch.empty(3, device=meta), torch.empty(3, device=meta)
    augment(pixels, draws, names - MIXING, mean, std)  # constants are copied there once
    with waits as seen:
        images = augment(pixels, draws, names - MIXING, mean, std)
        if moves_alone(names):
            move(pixels, draws, names)
        if names & MIXING:
            labels = torch.empty(64, dtype=torch.int64, device=meta)
            images, shares = mix.mix(images, labels, draws, names, 10)
            assert shares.is_meta
    assert images.is_meta
    assert seen == []
