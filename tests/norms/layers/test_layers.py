"""The layers as modules: options, input checks, copying, empty batches, compilers.

Their numbers are held by test_formulas.py (every paper's formula in float64) and
test_torch_layers.py (torch's own layers); the peers' defects by test_peers_layers.py.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import normlab
from layer_steps import C, images, randomized, step
from normlab.errors import UsageError
from normlab.norms.layers.baselines import NoNorm2d, TorchBatchNorm2d
from normlab.norms.spec import make_norm, norm_names
from normlab.testing import MEMORY_FORMATS, assert_close

pytestmark = pytest.mark.usefixtures("one_thread")

ARMS = [*norm_names(), "ln:axes=c"]
WITH_PARAMETERS = [arm for arm in ARMS if arm != "none"]
WITH_RUNNING = ["bn", "bin", "torch-bn"]


# ── options ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (normlab.BatchNorm2d(C), nn.BatchNorm2d(C)),
        (normlab.InstanceNorm2d(C), nn.InstanceNorm2d(C)),
        (normlab.GroupNorm2d(4, C), nn.GroupNorm(4, C)),
        (TorchBatchNorm2d(C), nn.BatchNorm2d(C)),
    ],
    ids=["bn", "in", "gn", "torch-bn"],
)
def test_defaults_and_names_are_those_of_torch(ours: nn.Module, theirs: nn.Module) -> None:
    for name in ("eps", "momentum", "affine", "track_running_stats", "num_groups"):
        assert getattr(ours, name, None) == getattr(theirs, name, None), name
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)
        assert ours.state_dict()[name].dtype == value.dtype


def test_what_the_layers_print() -> None:
    arms = ["bn", "in", "gn", "torch-bn", "bin:gate=0.5", "ln", "ln:axes=c", "none"]
    assert [repr(make_norm(arm, C)) for arm in arms] == [
        "BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
        "InstanceNorm2d(8, eps=1e-05, momentum=0.1, affine=True, track_running_stats=False)",
        "GroupNorm2d(8, 8, eps=1e-05, affine=True)",
        "TorchBatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
        "BatchInstanceNorm2d(8, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, "
        "gate=0.5)",
        "LayerNorm2d(8, eps=1e-05, affine=True)",
        "ChannelLayerNorm2d(8, eps=1e-05, affine=True)",
        "NoNorm2d()",
    ]


@pytest.mark.parametrize(
    "layer",
    [
        normlab.BatchNorm2d(C, affine=False),
        normlab.InstanceNorm2d(C),
        normlab.BatchInstanceNorm2d(C, affine=False),
        normlab.LayerNorm2d(C, affine=False),
        normlab.GroupNorm2d(2, C, affine=False),
        normlab.ChannelLayerNorm2d(C, affine=False),
        TorchBatchNorm2d(C, affine=False),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_affine_off_is_affine_at_its_start(layer: nn.Module) -> None:
    options = {"affine": True}
    arguments = (2, C) if isinstance(layer, normlab.GroupNorm2d) else (C,)
    affine = type(layer)(*arguments, **options)
    assert "weight" not in dict(layer.named_parameters())
    assert layer.weight is None
    (y, dx, *_), (affine_y, affine_dx, *_) = step(layer, images()), step(affine, images())
    assert_close(y, affine_y, 1e-6, "y")
    assert_close(dx, affine_dx, 1e-6, "dx")


@pytest.mark.parametrize("arm", WITH_PARAMETERS)
def test_reset_parameters(arm: str) -> None:
    layer, fresh = randomized(make_norm(arm, C)), make_norm(arm, C)
    layer.reset_parameters()
    for one, other in zip(layer.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("arm", WITH_RUNNING)
def test_reset_running_stats(arm: str) -> None:
    layer, fresh = make_norm(arm, C), make_norm(arm, C)
    layer(images())
    assert not torch.equal(layer.running_mean, fresh.running_mean)
    layer.reset_running_stats()
    for one, other in zip(layer.buffers(), fresh.buffers(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("type_", [normlab.BatchNorm2d, normlab.BatchInstanceNorm2d])
def test_momentum_none_is_the_plain_average(type_: type[nn.Module]) -> None:
    layer = type_(C, momentum=None)
    batches = [images(seed=seed) for seed in range(3)]
    for batch in batches:
        layer(batch)
    means = torch.stack([batch.mean((0, 2, 3)) for batch in batches])
    variances = torch.stack([batch.var((0, 2, 3)) for batch in batches])
    assert_close(layer.running_mean, means.mean(0), 1e-6, "running mean")
    assert_close(layer.running_var, variances.mean(0), 1e-6, "running variance")
    assert layer.num_batches_tracked == 3


@pytest.mark.parametrize(
    "type_", [normlab.BatchNorm2d, normlab.BatchInstanceNorm2d, TorchBatchNorm2d]
)
def test_untracked_statistics_come_from_the_batch_in_evaluation_too(type_) -> None:
    layer = type_(C, track_running_stats=False)
    assert not dict(layer.named_buffers())
    trained = layer(images())
    assert torch.equal(trained, layer.eval()(images()))


def test_frozen_momentum() -> None:
    """Momentum 0 observes nothing, momentum 1 keeps the last batch alone."""
    still, last = normlab.BatchNorm2d(C, momentum=0.0), normlab.BatchNorm2d(C, momentum=1.0)
    for seed in range(2):
        still(images(seed=seed))
        last(images(seed=seed))
    assert still.running_mean.eq(0).all()
    assert still.running_var.eq(1).all()
    assert_close(last.running_mean, images(seed=1).mean((0, 2, 3)), 1e-6, "running mean")


# ── what is refused ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arm", "x", "options", "sentence"),
    [
        ("bn", images(4, 8), {}, "BatchNorm2d takes (N, C, H, W), got shape (4, 8); add the axes"),
        (
            "gn",
            images(2, 4, 3, 3),
            {},
            "GroupNorm2d was made for 8 channels, got 4; make it with 4",
        ),
        (
            "in",
            torch.zeros(2, 8, 0, 3),
            {},
            "InstanceNorm2d takes maps of at least 1×1, got 0×3; use a larger image or less",
        ),
        (
            "ln",
            torch.zeros(2, 8, 3, 3, dtype=torch.int64),
            {},
            "LayerNorm2d takes floating point, got torch.int64; convert with x.float()",
        ),
        *(
            (
                arm,
                images(2, 8, 3, 3),
                {"residual": images(2, 4, 3, 3)},
                "the residual must have the shape of x (2, 8, 3, 3), got (2, 4, 3, 3); project it",
            )
            for arm in ARMS
        ),
        *(
            (
                arm,
                images(2, 8, 3, 3),
                {"activation": "gelu"},
                "unknown activation 'gelu'; one of none, relu, leaky_relu, silu",
            )
            for arm in ARMS
        ),
        (
            "bn",
            images(1, 8, 1, 1),
            {},
            "BatchNorm2d needs more than 1 value per statistic in training, got 1; use a larger "
            "batch or image, or a norm without batch statistics (gn, ln)",
        ),
        (
            "bin",
            images(1, 8, 1, 1),
            {},
            "BatchInstanceNorm2d needs more than 1 value per statistic in training, got 1; use a",
        ),
        (
            "torch-bn",
            images(1, 8, 1, 1),
            {},
            "TorchBatchNorm2d needs more than 1 value per statistic in training, got 1; use a",
        ),
        (
            "in",
            images(2, 8, 1, 1),
            {},
            "InstanceNorm2d needs more than 1 value per statistic in training, got 1; use a "
            "larger image",
        ),
        (
            "gn:groups=8",
            images(2, 8, 1, 1),
            {},
            "GroupNorm2d needs more than 1 value per statistic in training, got 1; use fewer "
            "groups or a larger image",
        ),
    ],
)
def test_a_wrong_input_gets_one_clear_sentence(arm, x, options, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_norm(arm, 8)(x, **options)
    assert str(caught.value).startswith(sentence)


def test_layer_norm_of_one_value() -> None:
    with pytest.raises(
        UsageError, match=r"LayerNorm2d needs more than 1 value .*use more channels"
    ):
        normlab.LayerNorm2d(1)(torch.zeros(2, 1, 1, 1))


def test_a_refused_batch_leaves_the_layer_as_it_was() -> None:
    layer = normlab.BatchNorm2d(C)
    before = copy.deepcopy(layer.state_dict())
    with pytest.raises(UsageError):
        layer(images(1, C, 1, 1))
    assert all(torch.equal(layer.state_dict()[name], value) for name, value in before.items())


@pytest.mark.parametrize("arm", ["bn", "bin", "gn", "ln"])
def test_one_pixel_of_one_sample_can_be_evaluated(arm: str) -> None:
    layer = make_norm(arm, C)
    layer(images())
    assert layer.eval()(images(1, C, 1, 1)).isfinite().all()


# ── empty batches, odd sizes ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("with_residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("arm", ARMS)
def test_an_empty_batch_gives_an_empty_result(arm: str, with_residual: bool) -> None:
    """As torch: empty y and dx, gradients 0, running averages where they were.

    Unlike torch's, our layers do not count an empty batch, so that momentum None stays the average
    of the batches that were seen.
    """
    layer = make_norm(arm, C)
    before = copy.deepcopy(layer.state_dict())
    x = torch.zeros(0, C, 4, 4, requires_grad=True)
    y = layer(x, residual=torch.zeros_like(x) if with_residual else None, activation="relu")
    y.sum().backward()
    assert y.shape == x.grad.shape == (0, C, 4, 4)
    for parameter in layer.parameters():
        assert parameter.grad.eq(0).all()
    for name, value in before.items():
        if arm != "torch-bn" or name != "num_batches_tracked":
            assert torch.equal(layer.state_dict()[name], value), name
    assert layer.eval()(x).shape == (0, C, 4, 4)


def test_an_empty_batch_does_not_spoil_tracked_instance_statistics() -> None:
    layer = normlab.InstanceNorm2d(C, track_running_stats=True)
    layer(torch.zeros(0, C, 4, 4))
    assert layer.running_mean.eq(0).all()
    assert layer.running_var.eq(1).all()


@pytest.mark.parametrize("layout", MEMORY_FORMATS)
@pytest.mark.parametrize(
    "shape", [(4, 1, 1), (1, 1, 7), (1, 9, 1), (5, 3, 11), (2, 33, 17)], ids=str
)
@pytest.mark.parametrize("arm", WITH_PARAMETERS)
def test_odd_sizes(arm: str, shape: tuple[int, int, int], layout: str) -> None:
    """float32 against the same layer in float64, whose formula test_formulas.py holds."""
    n, h, w = shape
    if arm in ("in", "ibn") and h * w == 1:
        pytest.skip("instance normalization of one value is refused")
    if arm == "frn" and h * w == 1:
        pytest.skip("x/√x² of one value is its sign, and has no derivative to compare")
    layer = randomized(make_norm("gn:groups=4" if arm == "gn" else arm, C))
    x = images(n, C, h, w).contiguous(memory_format=MEMORY_FORMATS[layout])
    exact = copy.deepcopy(layer).double()
    results = zip(step(layer, x), step(exact, x.double()), strict=True)
    for what, (single, double) in zip(("y", "dx", "dγ", "dβ", "dρ"), results, strict=False):
        assert_close(single, double, 2e-5, what)  # dx of 4 values is a small difference


# ── precision ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("arm", WITH_RUNNING)
def test_evaluation_of_a_half_precision_model_rounds_once(arm: str, dtype: torch.dtype) -> None:
    """Running statistics in half precision must not drag the arithmetic down with them."""
    layer = randomized(make_norm(arm, C))
    for seed in range(3):
        layer(images(16, C, 6, 6, seed=seed))
    layer = layer.to(dtype).eval()
    x = images(64, C, 6, 6, seed=9, dtype=dtype)
    with torch.no_grad():
        assert_close(layer(x), layer.double()(x.double()), torch.finfo(dtype).eps / 2, "y")


@pytest.mark.parametrize("arm", ARMS)
def test_autocast(arm: str) -> None:
    """Behind a bfloat16 convolution y and dx are bfloat16, parameters and averages float32."""
    layer = randomized(make_norm(arm, C))
    convolution = nn.Conv2d(3, C, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = convolution(images(4, 3, 8, 8))
        z.retain_grad()
        y = layer(z, activation="relu")
    y.float().square().sum().backward()
    assert y.dtype == z.dtype == z.grad.dtype == torch.bfloat16
    for tensor in (*layer.parameters(), *layer.buffers()):
        assert tensor.dtype in (torch.float32, torch.int64)
    assert all(p.grad.dtype == torch.float32 for p in layer.parameters())


@pytest.mark.parametrize("layout", MEMORY_FORMATS)
@pytest.mark.parametrize("arm", ["bn", "in", "bin", "ln", "gn", "ln:axes=c"])
def test_a_residual_of_another_dtype_does_not_change_that_of_y(arm: str, layout: str) -> None:
    """Under autocast a shortcut may come in float32 beside a bfloat16 convolution."""
    x = images().bfloat16().contiguous(memory_format=MEMORY_FORMATS[layout]).requires_grad_()
    residual = images(seed=3).contiguous(memory_format=MEMORY_FORMATS[layout]).requires_grad_()
    y = make_norm(arm, C)(x, residual=residual)
    y.backward(images(seed=2).bfloat16())
    assert (y.dtype, x.grad.dtype, residual.grad.dtype) == (x.dtype, x.dtype, torch.float32)
    assert_close(y, make_norm(arm, C)(x.detach().float()) + residual, 2**-7, "y")


def test_no_norm_is_the_identity() -> None:
    x = images()
    layer = NoNorm2d()
    assert layer(x) is x
    assert torch.equal(layer(x, residual=x, activation="relu"), torch.relu(2 * x))
