"""Conversion of networks in the style of torchvision and timm, and of our own."""

from __future__ import annotations

import copy
import pickle
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import normlab
from normlab.errors import UnknownNameError, UsageError
from normlab.norms.base import Normalization
from normlab.norms.spec import make_norm
from normlab.norms.surgery.with_activation import ActivatedNorm
from normlab.testing import assert_close

pytestmark = pytest.mark.usefixtures("one_thread")

ARMS = ["bn", "in", "bin", "ln", "gn:groups=4", "ln:axes=c", "torch-bn"]
BATCH_ARMS = ["bn", "bin", "torch-bn"]


def images(channels: int = 3, size: int = 16) -> Tensor:
    return torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(2))


def norms_of(model: nn.Module) -> dict[str, nn.Module]:
    return {name: m for name, m in model.named_modules() if isinstance(m, Normalization)}


def outputs(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """In training (of a copy, whose statistics may move) and in evaluation."""
    with torch.no_grad():
        return copy.deepcopy(model).train()(x), copy.deepcopy(model).eval()(x)


@pytest.mark.parametrize("norm", ARMS)
def test_every_norm_of_a_torchvision_network(norm: str, libraries: ModuleType) -> None:
    model = libraries.TorchvisionResNet()
    order = [name for name, _ in model.named_modules()]
    conversion = normlab.convert_norms(model, norm)
    assert conversion.model is model
    assert len(conversion.layers) == len(norms_of(model)) == 10
    assert not any(type(m) is nn.BatchNorm2d for m in model.modules())
    assert [name for name, _ in model.named_modules()] == order
    assert {type(m) for m in norms_of(model).values()} == {type(make_norm(norm, 16))}
    model(images()).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("norm", BATCH_ARMS)
def test_from_batch_norm_to_batch_norm_nothing_changes(norm: str, libraries: ModuleType) -> None:
    model = libraries.TorchvisionResNet()
    libraries.scramble(model)
    expected = outputs(model, images())
    conversion = normlab.convert_norms(model, norm)
    for y, e, mode in zip(outputs(model, images()), expected, ("train", "eval"), strict=True):
        assert_close(y, e, 1e-5, mode)
    assert {"weight", "bias", "running statistics"} <= set(conversion.layers[0].transferred)


@pytest.mark.parametrize(
    ("before", "norm"),
    [
        (lambda: nn.BatchNorm2d(8, eps=1e-3, momentum=0.4), "bin"),
        (lambda: nn.BatchNorm2d(8, momentum=None), "bn"),
        (lambda: nn.BatchNorm2d(8, track_running_stats=False), "bn"),
        (lambda: nn.BatchNorm2d(8, affine=False), "torch-bn"),
        (lambda: nn.GroupNorm(4, 8, eps=1e-3), "gn:groups=4"),
        (lambda: nn.InstanceNorm2d(8), "in"),
        (lambda: nn.InstanceNorm2d(8, affine=True, eps=1e-2), "in"),
        (lambda: normlab.LayerNorm2d(8), "ln"),
        (lambda: nn.GroupNorm(1, 8, eps=1e-2), "ln"),
        (lambda: nn.GroupNorm(8, 8, eps=1e-2), "in"),
        (lambda: normlab.BatchNorm2d(8), "torch-bn"),
        (lambda: make_norm("torch-bn", 8), "bn"),
        (lambda: normlab.BatchInstanceNorm2d(8, gate=0.3), "bin"),
    ],
)
def test_conversions_within_a_scheme_keep_the_function(before: Any, norm: str, libraries) -> None:
    model = nn.Sequential(before())
    libraries.scramble(model)
    x = images(8)
    expected = outputs(model, x)
    old = model[0]
    normlab.convert_norms(model, norm)
    for y, e, mode in zip(outputs(model, x), expected, ("train", "eval"), strict=True):
        assert_close(y, e, 1e-5, mode)
    for name in ("eps", "momentum"):
        if hasattr(model[0], name) and hasattr(old, name):
            assert getattr(model[0], name) == getattr(old, name)


def test_stated_options_win_over_the_old_ones() -> None:
    model = nn.Sequential(nn.BatchNorm2d(8, eps=1e-3, momentum=0.4))
    normlab.convert_norms(model, "bn:eps=1e-5")
    assert (model[0].eps, model[0].momentum) == (1e-5, 0.4)


def test_gates() -> None:
    """Between BINs the gate is carried over, unless the spec states one; others report it."""
    layer = normlab.BatchInstanceNorm2d(8, gate=0.3)
    model = nn.Sequential(layer)
    normlab.convert_norms(model, "bin")
    assert model[0].gate is layer.gate
    stated = normlab.convert_norms(model, "bin:gate=0.5")
    assert model[0].gate.tolist() == [0.5] * 8
    assert stated.layers[0].notes == ("gate starts as the spec states",)
    dropped = normlab.convert_norms(model, "bn")
    assert dropped.layers[0].notes == ("gate dropped: the new norm has none",)


def test_tracking_instance_norms() -> None:
    """`in` keeps no running statistics, and no empty shells of them either."""
    model = nn.Sequential(normlab.InstanceNorm2d(8, track_running_stats=True))
    conversion = normlab.convert_norms(model, "in")
    assert "running statistics dropped: the new norm keeps none" in conversion.layers[0].notes
    assert set(model.state_dict()) == {"0.weight", "0.bias"}


def test_a_synchronized_batch_norm_comes_back() -> None:
    model = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(8)))
    model[0].running_mean.fill_(3)
    conversion = normlab.convert_norms(model, "torch-bn")
    assert conversion.layers[0].notes == ("no longer synchronized across processes",)
    assert torch.equal(model[0].running_mean, torch.full((8,), 3.0))
    model(images(8))  # SyncBatchNorm could not, on a CPU


@pytest.mark.parametrize("before", ARMS)
@pytest.mark.parametrize("after", ARMS)
def test_our_own_networks(before: str, after: str) -> None:
    model = normlab.resnet(n=1, num_classes=3, norm=before)
    expected = normlab.resnet(n=1, num_classes=3, norm=after)
    normlab.convert_norms(model, after)
    assert [(n, type(m)) for n, m in model.named_modules()] == [
        (n, type(m)) for n, m in expected.named_modules()
    ]
    assert list(model.state_dict()) == list(expected.state_dict())
    assert model(images()).shape == (4, 3)


def test_to_no_norm_at_all() -> None:
    model = normlab.resnet(n=1, norm="bn")
    conversion = normlab.convert_norms(model, "none")
    assert not norms_of(model)
    assert "weight dropped: the new norm has none" in conversion.layers[0].notes


# --- what a layer keeps


def test_parameters_stay_the_same_objects(libraries: ModuleType) -> None:
    """An optimizer made before the conversion trains the network after it."""
    model = libraries.TorchvisionResNet()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    normlab.convert_norms(model, "gn")
    assert {id(p) for p in model.parameters()} == held


def test_flags_device_and_dtype() -> None:
    model = nn.Sequential(nn.BatchNorm2d(8), nn.BatchNorm2d(8), nn.BatchNorm2d(8)).double()
    model[1].eval()
    model[2].weight.requires_grad_(False)
    normlab.convert_norms(model, "bin")
    assert [m.training for m in model] == [True, False, True]
    assert [m.weight.requires_grad for m in model] == [True, True, False]
    assert {t.dtype for t in model.parameters()} == {torch.float64}
    meta = nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8)).to("meta")
    normlab.convert_norms(meta, "bin")
    assert {t.device.type for t in meta.state_dict().values()} == {"meta"}


def test_memory_format() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).to(
        memory_format=torch.channels_last
    )
    normlab.convert_norms(model, "gn")
    x = images().to(memory_format=torch.channels_last)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model(x).is_contiguous(memory_format=torch.channels_last)


def test_shared_modules_stay_shared() -> None:
    norm = nn.BatchNorm2d(8)
    model = nn.ModuleDict({"a": norm, "b": nn.Sequential(norm, nn.ReLU(), norm)})
    left = normlab.convert_norms(model, "ln", where=lambda name, _: name != "b.2").left
    assert [name for name, _ in left] == ["a", "b.0", "b.2"]
    assert model["b"][0] is norm
    conversion = normlab.convert_norms(model, "ln")
    assert model["a"] is model["b"][0] is model["b"][2] is not norm
    assert [layer.names for layer in conversion.layers] == [("a", "b.0", "b.2")]


def test_hooks_move_with_their_handles() -> None:
    model = nn.Sequential(nn.BatchNorm2d(8))
    calls: list[str] = []
    forward = model[0].register_forward_hook(lambda m, i, o: calls.append(type(m).__name__))
    model[0].register_full_backward_hook(lambda m, i, o: calls.append("backward"))
    normlab.convert_norms(model, "gn")
    model(images(8).requires_grad_()).sum().backward()
    assert calls == ["GroupNorm2d", "backward"]
    forward.remove()
    model(images(8).requires_grad_())
    assert calls == ["GroupNorm2d", "backward"]


def test_state_dict_hooks_are_reported() -> None:
    model = nn.Sequential(nn.BatchNorm2d(8))
    model[0].register_state_dict_post_hook(lambda *_: None)
    conversion = normlab.convert_norms(model, "bn")
    assert any("hooks on the state_dict" in note for note in conversion.layers[0].notes)


# --- timm and torchvision


@pytest.mark.parametrize("act", [nn.ReLU, nn.SiLU, nn.LeakyReLU, nn.Hardswish])
def test_batch_norm_with_its_activation(act: type[nn.Module], libraries: ModuleType) -> None:
    model = nn.Sequential(libraries.BatchNormAct2d(8, act_layer=act))
    libraries.scramble(model)
    expected = outputs(model, images(8))
    conversion = normlab.convert_norms(model, "bin")
    assert isinstance(model[0], ActivatedNorm)
    assert isinstance(model[0].act, act)
    for y, e, mode in zip(outputs(model, images(8)), expected, ("train", "eval"), strict=True):
        assert_close(y, e, 1e-5, mode)
    assert "activation" in conversion.layers[0].transferred
    x = images(8).requires_grad_()
    model(x).square().sum().backward()  # timm's activations work in place
    assert x.grad is not None
    normlab.convert_norms(model, "gn")
    assert isinstance(model[0].norm, normlab.GroupNorm2d)


def test_the_dropout_between_norm_and_activation(libraries: ModuleType) -> None:
    model = nn.Sequential(libraries.BatchNormAct2d(8, drop_layer=nn.Dropout)).train()
    normlab.convert_norms(model, "gn")
    x = images(8)
    assert (model(x) == 0).float().mean() > 0.6
    assert (model.eval()(x) == 0).float().mean() < 0.6


def test_group_norm_with_its_activation(libraries: ModuleType) -> None:
    model = nn.Sequential(libraries.GroupNormAct(8, num_groups=4))
    libraries.scramble(model)
    expected = model(images(8))
    normlab.convert_norms(model, "gn:groups=4")
    assert_close(model(images(8)), expected, 1e-5, "y")


def test_layer_norm_over_channels(libraries: ModuleType) -> None:
    model = nn.Sequential(libraries.LayerNorm2d(8))
    libraries.scramble(model)
    expected = model(images(8))
    normlab.convert_norms(model, "ln:axes=c")
    assert model[0].eps == 1e-6
    assert_close(model(images(8)), expected, 1e-5, "y")


@pytest.mark.parametrize("norm", BATCH_ARMS)
def test_frozen_batch_norm_stays_frozen(norm: str, libraries: ModuleType) -> None:
    model = libraries.TorchvisionResNet(libraries.FrozenBatchNorm2d)
    libraries.scramble(model)
    expected = model(images())
    normlab.convert_norms(model, norm)
    model.train()
    for _ in range(2):
        assert_close(model(images()), expected, 1e-5, "y")
    assert not any(m.weight.requires_grad for m in norms_of(model).values())
    normlab.unfreeze(model)
    assert (model(images()) - expected).abs().max() > 1e-3


def test_frozen_by_us_stays_frozen(libraries: ModuleType) -> None:
    for layer in (nn.BatchNorm2d(8), libraries.BatchNormAct2d(8)):
        model = nn.Sequential(layer)
        normlab.freeze(model)
        normlab.convert_norms(model, "bn")
        model.train()(images(8) + 5)
        (norm,) = norms_of(model).values()
        assert torch.equal(norm.running_mean, torch.zeros(8))
        assert normlab.freeze(model) == normlab.unfreeze(model)
        model(images(8) + 5)
        assert not torch.equal(norm.running_mean, torch.zeros(8))


# --- what is not converted, and errors


class OwnForward(nn.BatchNorm2d):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.act(x))


def test_a_forward_patched_on_the_instance() -> None:
    model = nn.Sequential(nn.BatchNorm2d(8))
    model[0].forward = lambda x: x
    assert "a forward of its own" in normlab.convert_norms(model, "gn").left[0][1]


def test_what_is_left_is_reported() -> None:
    model = nn.Sequential(
        OwnForward(8),
        nn.LocalResponseNorm(2),
        nn.LazyBatchNorm2d(),
        make_norm("none", 8),
    )
    conversion = normlab.convert_norms(model, "gn")
    assert not conversion.layers
    reasons = dict(conversion.left)
    assert list(reasons) == ["0", "1", "2", "3"]
    assert conversion.missed == conversion.left
    assert "a forward of its own" in reasons["0"]
    assert "not know its channels yet" in reasons["2"]
    assert "left: 1: LocalResponseNorm is not a normalization that normlab" in str(conversion)


def test_what_was_chosen_is_not_missed() -> None:
    model = nn.Sequential(nn.BatchNorm2d(8), nn.BatchNorm2d(8))
    conversion = normlab.convert_norms(model, "gn", where=lambda name, _: name == "1")
    assert [name for name, _ in conversion.left] == ["0"]
    assert conversion.missed == ()


def test_an_error_names_the_layer_and_changes_nothing(libraries: ModuleType) -> None:
    model = nn.Sequential(nn.BatchNorm2d(8), nn.Sequential(nn.BatchNorm2d(12)))
    handle_calls: list[int] = []
    model[0].register_forward_hook(lambda *_: handle_calls.append(1))
    before = list(model.modules())
    message = r"layer 1\.0 with 12 channels cannot become gn: 8 groups do not divide 12 channels"
    with pytest.raises(UsageError, match=message):
        normlab.convert_norms(model, "gn:groups=8")
    assert list(model.modules()) == before
    model[0](images(8))
    assert handle_calls == [1]


def test_some_layers_alone() -> None:
    model = nn.Sequential(nn.BatchNorm2d(8), nn.BatchNorm2d(12))
    conversion = normlab.convert_norms(model, "gn", where=lambda name, _: name != "1")
    assert [type(m) for m in model] == [normlab.GroupNorm2d, nn.BatchNorm2d]
    assert conversion.left == (("1", "left out by where=…"),)


def test_a_model_that_is_itself_a_norm() -> None:
    conversion = normlab.convert_norms(nn.BatchNorm2d(8), "gn")
    assert isinstance(conversion.model, normlab.GroupNorm2d)
    assert "(the model)" in str(conversion)


def test_an_unknown_norm() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'gn'"):
        normlab.convert_norms(nn.BatchNorm2d(8), "gnn")


def test_the_table(libraries: ModuleType) -> None:
    model = libraries.TorchvisionResNet()
    text = str(normlab.convert_norms(model, "gn:groups=4"))
    lines = text.splitlines()
    assert lines[0] == "10 normalizations converted to gn:groups=4"
    assert "layer2.0.downsample.1" in text
    assert "no running statistics; another function" in lines[2]


def test_converted_models_can_be_copied_and_pickled(libraries: ModuleType) -> None:
    model = nn.Sequential(libraries.BatchNormAct2d(8), nn.BatchNorm2d(8)).eval()
    normlab.convert_norms(model, "bin")
    normlab.freeze(model)
    x = images(8)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        copied.train()
        assert torch.equal(copied(x), model(x))
