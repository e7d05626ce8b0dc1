"""The maps against a hand-computed case, automatic differentiation and pytorch-grad-cam."""

from __future__ import annotations

import copy
import sys
import types

import pytest
import torch
from torch import nn
from torch.nn import functional

from normlab.errors import UnknownNameError, UsageError
from normlab.explain.gradcam import grad_cam
from normlab.explain.layers import choose_layers
from normlab.networks.resnet.resnet import resnet, resnet_by_name
from normlab.networks.view import inspect_network
from normlab.norms.registry import NORMS

SIX = ("bn", "in", "bin", "ln", "gn", "none", "torch-bn")


class Tiny(nn.Module):
    """Two channels, the image and its negative; two classes with weights that fit in the head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.classifier = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
            self.classifier.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))

    def forward(self, x):
        return self.classifier(self.conv(x).mean((2, 3)))


def layers_of(network: nn.Module, choice: str = "last-stage") -> tuple[str, ...]:
    x = torch.ones(1, 1, 2, 2) if isinstance(network, Tiny) else images()
    return choose_layers(inspect_network(network, x), choice)


def images(count: int = 3, size: int = 16) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def trained_looking(norm: str, n: int = 1) -> nn.Module:
    """A network whose scales, shifts and statistics are not those of the start."""
    generator = torch.Generator().manual_seed(1)
    network = resnet(n, 5, norm, generator=generator)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "norm" in name:
                value.add_(0.3 * torch.rand(value.shape, generator=generator)).clamp_(0, 1.3)
                if "gate" in name:
                    value.fill_(0.4)
        for name, value in network.named_buffers():
            if name.endswith("running_var"):
                value.fill_(1.7)
            if name.endswith("running_mean"):
                value.fill_(0.2)
    return network


def test_by_hand() -> None:
    """d logit_0/dA = [2/4, 0], so L = max(0, x/2); d logit_1/dA = [0, 4/4], so L = max(0, −x)."""
    x = torch.tensor([[1.0, -2.0], [3.0, 0.0]]).view(1, 1, 2, 2).repeat(2, 1, 1, 1)
    found = grad_cam(Tiny(), x, torch.tensor([0, 1]), ["conv"])
    expected = torch.tensor([[[0.5, 0.0], [1.5, 0.0]], [[0.0, 2.0], [0.0, 0.0]]])
    torch.testing.assert_close(found.maps, expected)
    torch.testing.assert_close(found.logits[0], torch.tensor([1.0, -2.0]))


@pytest.mark.parametrize("norm", SIX)
def test_against_a_network_cut_in_two(norm: str) -> None:
    """From the last maps on the network is mean and classifier: w = its row / pixels."""
    network = trained_looking(norm).eval()
    targets = torch.tensor([0, 3, 4])
    found = grad_cam(network, images(), targets, layers_of(network, "last"))
    with torch.no_grad():
        last = network.stages(network.stem(images()))
        weights = network.classifier.weight[targets] / last[0, 0].numel()
        small = torch.einsum("nk,nkhw->nhw", weights, last).clamp(min=0)
        expected = functional.interpolate(small[:, None], (16, 16), mode="bilinear")[:, 0]
    torch.testing.assert_close(found.maps, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", sorted(NORMS))
def test_every_norm_gives_finite_maps_and_is_left_as_it_was(norm: str) -> None:
    network = resnet(1, 5, norm, generator=torch.Generator().manual_seed(1))
    network.train()
    network.stages[0].eval()
    modes = [m.training for m in network.modules()]
    state = copy.deepcopy(network.state_dict())
    layers = layers_of(network)
    found = grad_cam(network, images(), None, layers)
    assert torch.isfinite(found.maps).all()
    assert found.maps.max() > 0
    assert [m.training for m in network.modules()] == modes
    assert all(p.grad is None for p in network.parameters())
    assert all(not m._forward_hooks for m in network.modules())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(found.logits, network(images()), rtol=1e-4, atol=1e-5)


def test_frozen_weights_and_a_surrounding_no_grad_change_nothing() -> None:
    network = trained_looking("bin")
    layers = layers_of(network)
    expected = grad_cam(network, images(), None, layers).maps
    network.requires_grad_(False)
    with torch.no_grad():
        torch.testing.assert_close(grad_cam(network, images(), None, layers).maps, expected)


def test_the_batch_does_not_matter() -> None:
    network = trained_looking("bn")
    layers = layers_of(network)
    targets = torch.tensor([1, 2, 0])
    together = grad_cam(network, images(), targets, layers).maps
    alone = torch.cat(
        [grad_cam(network, x[None], t[None], layers).maps for x, t in zip(images(), targets)]  # noqa: B905
    )
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_layers_of_the_last_stage() -> None:
    assert len(layers_of(resnet(2, 5, "bn"))) == 4
    assert layers_of(resnet(2, 5, "bn"), "last") == ("stages.2.1.norm2",)
    assert layers_of(resnet_by_name("resnet18", 5, "gn"))[0] == "stages.3.0.norm1"
    assert layers_of(Tiny()) == ("conv",)


def test_bad_input() -> None:
    with pytest.raises(UsageError, match="has no convolution"):
        layers_of(nn.Sequential(nn.Flatten(), nn.Linear(768, 2)))
    with pytest.raises(UnknownNameError, match="did you mean 'last'"):
        layers_of(Tiny(), "lsat")
    x = torch.ones(1, 1, 2, 2)
    with pytest.raises(UsageError, match="no layer 'conf'"):
        grad_cam(Tiny(), x, None, ["conf"])
    with pytest.raises(UsageError, match="from 0 to 1"):
        grad_cam(Tiny(), x, torch.tensor([2]), ["conv"])
    network = Tiny()
    network.unused = nn.Conv2d(1, 1, 1)
    with pytest.raises(UsageError, match="do not depend on"):
        grad_cam(network, x, None, ["unused"])
    with pytest.raises(UnknownNameError):
        grad_cam(Tiny(), x, None, ["conv"], "rwa")


def _oracle(monkeypatch: pytest.MonkeyPatch):
    """pytorch-grad-cam; it imports torchvision and matplotlib for helpers not used here."""
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    for name in (*names, "matplotlib", "matplotlib.pyplot", "matplotlib.lines"):
        stub = types.ModuleType(name)
        unused = ("Compose", "Normalize", "ToTensor", "resize", "pyplot", "Line2D")
        stub.__dict__.update(dict.fromkeys(unused))
        monkeypatch.setitem(sys.modules, name, stub)
    return pytest.importorskip("pytorch_grad_cam", reason="pytorch-grad-cam is not installed")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("norm", SIX)
def test_equal_to_pytorch_grad_cam(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = _oracle(monkeypatch)
    targets_module = sys.modules["pytorch_grad_cam.utils.model_targets"]
    network = trained_looking(norm, n=2)
    layers = layers_of(network)
    targets = torch.tensor([0, 3, 4])
    found = grad_cam(network, images(size=32), targets, layers, "per-layer").maps
    modules = dict(network.named_modules())
    wanted = [targets_module.ClassifierOutputTarget(int(t)) for t in targets]
    with oracle.GradCAM(network, [modules[name] for name in layers]) as cam:
        expected = cam(input_tensor=images(size=32), targets=wanted)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("class_token", [True, False])
def test_tokens_lie_where_their_patches_do(class_token: bool) -> None:
    """Of a linear network the map is Σ_k w_k·A_k of the token of each place, row by row."""

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(3)
            self.head = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x[:, :, ::4, ::4].flatten(2).transpose(1, 2)
            if class_token:
                y = torch.cat([y.new_zeros(len(y), 1, 3), y], 1)
            y = self.norm(y)
            logits: torch.Tensor = self.head(y.mean(1))
            return logits

    network = Tokens()
    x = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(3))
    found = grad_cam(network, x, torch.tensor([0, 1]), ["norm"])
    with torch.no_grad():
        y = network.norm(x[:, :, ::4, ::4].permute(0, 2, 3, 1))
        places = (y @ network.head.weight.T).relu().permute(0, 3, 1, 2)
    for n, target in enumerate((0, 1)):
        expected = functional.interpolate(
            places[n : n + 1, target][None], (16, 24), mode="bilinear"
        )
        torch.testing.assert_close(found.maps[n], expected[0, 0] / (24 + class_token))


def test_a_layer_without_places_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.Linear(4, 2))
    with pytest.raises(UsageError, match=r"of shape \(1, 4\), has no places in the image"):
        grad_cam(network, torch.randn(1, 3, 4, 4), None, ["1"])
