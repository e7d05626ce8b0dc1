"""What one forward pass shows of normlab's networks, of plain ones and of torchvision's kind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from normlab.networks.registry import make_network
from normlab.networks.view import inspect_network
from normlab.norms.spec import parse_norm
from normlab.norms.surgery.convert import convert_norms


def plain(norm: str = "bn") -> nn.Sequential:
    make = parse_norm(norm).make
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), make(8), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), make(16), nn.ReLU()),
        *(nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)),
    )


def test_a_plain_sequence() -> None:
    network = plain()
    view = inspect_network(network, torch.zeros(4, 3, 12, 12))
    assert [(s.name, s.facts.over, s.facts.values) for s in view.norm_sites] == [
        ("1", "batch", 4 * 144),
        ("5", "batch", 4 * 36),
    ]
    assert [site.convolution for site in view.norm_sites] == [network[0], network[4]]
    assert all(site.before_relu for site in view.norm_sites)
    assert view.head is not None
    assert (view.head.module, view.head.features) == (network[10], 16)
    assert view.parts == ("0", "1", "4", "5", "10")
    assert view.cam_layers == ("6",)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_changed(training: bool) -> None:
    network = plain().train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.random.get_rng_state()
    inspect_network(network, torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(network.state_dict()[k], tensor) for k, tensor in before.items())
    assert all(m.training == training and not m._forward_hooks for m in network.modules())


def test_hooks_are_gone_after_an_error_too() -> None:
    network = plain()
    with pytest.raises(RuntimeError):
        inspect_network(network, torch.zeros(4, 2, 12, 12))
    assert not any(m._forward_hooks for m in network.modules())


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_the_residual_network(shortcut: str) -> None:
    network = make_network(f"cifar-resnet14:shortcut={shortcut}", 10, "gn:groups=4")
    view = inspect_network(network, torch.zeros(2, 3, 16, 16))
    assert all(s.convolution is not None and s.facts.over == "group" for s in view.norm_sites)
    convolutions = sum(isinstance(m, nn.Conv2d) for m in network.modules())
    assert len(view.norm_sites) == convolutions
    assert view.parts == ("stem", "stages.0", "stages.1", "stages.2", "classifier")
    assert view.cam_layers == tuple(f"stages.2.{b}.norm{n}" for b in (0, 1) for n in (1, 2))


def test_the_last_stage_is_told_by_its_width_where_maps_are_one_pixel() -> None:
    network = make_network("resnet18", 5, "none")
    view = inspect_network(network, torch.zeros(1, 3, 16, 16))
    assert {name.split(".")[1] for name in view.cam_layers} == {"3"}


def test_a_wrapper_is_looked_into() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = plain()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.model(x)
            return y

    view = inspect_network(Wrapper(), torch.zeros(2, 3, 8, 8))
    assert view.parts == ("model.0", "model.1", "model.4", "model.5", "model.10")


def test_norms_of_torch_before_an_activation_of_its_own_kind() -> None:
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.SiLU()),
        *(nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    view = inspect_network(network, torch.zeros(2, 3, 8, 8))
    assert [(s.facts.kind, s.facts.over, s.before_relu) for s in view.norm_sites] == [
        ("GroupNorm", "group", False)
    ]
    assert view.head is not None
    assert view.head.name == "3"  # a convolution gives the logits
    assert view.cam_layers == ("2",)


def test_a_network_without_maps_has_no_layer_for_them() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 2))
    view = inspect_network(network, torch.zeros(2, 3, 2, 2))
    assert view.cam_layers == ()
    assert view.norm_sites == ()
    assert view.parts == ("1", "3")


class Transformer(nn.Module):
    """Patches of 4 px; blocks of a norm, attention, a norm, and a layer of each token."""

    def __init__(self, class_token: bool, blocks: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.class_token = nn.Parameter(torch.ones(1, 1, 8)) if class_token else None
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(8),
                    "mix": nn.MultiheadAttention(8, 2, batch_first=True),
                    "norm2": nn.LayerNorm(8),
                    "own": nn.Linear(8, 8),
                }
            )
            for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.patches(x).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            y = torch.cat([self.class_token.expand(len(y), -1, -1), y], 1)
        for block in self.blocks:
            z = block["norm1"](y)
            y = y + block["mix"](z, z, z)[0]
            y = y + block["own"](block["norm2"](y))
        y = self.norm(y)
        logits: torch.Tensor = self.head(y[:, 0] if self.class_token is not None else y.mean(1))
        return logits


@pytest.mark.parametrize(("class_token", "layer"), [(True, "blocks.1.norm1"), (False, "norm")])
@pytest.mark.parametrize("norm", ["", "bn", "gn:groups=4"])
def test_maps_of_tokens_are_taken_where_places_still_count(class_token, layer, norm) -> None:
    network = Transformer(class_token)
    if norm:
        convert_norms(network, norm)
    assert inspect_network(network.eval(), torch.zeros(2, 3, 16, 24)).cam_layers == (layer,)


def test_the_map_before_the_pooling_in_a_network_without_activation_modules() -> None:
    """As in ConvNeXt: a norm within the block, an addition after it, a norm after the pooling."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.LayerNorm(8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.norm(self.conv(x).permute(0, 2, 3, 1))
            return x + y.permute(0, 3, 1, 2)

    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 2, stride=2), Block(), nn.AdaptiveAvgPool2d(1)),
        *(nn.GroupNorm(1, 8), nn.Flatten(), nn.Linear(8, 3)),
    )
    assert inspect_network(network, torch.zeros(2, 3, 12, 12)).cam_layers == ("1",)
