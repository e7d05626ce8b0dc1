"""Networks for segmentation of torchvision, MONAI and segmentation_models_pytorch, as installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import normlab
from normlab.norms.surgery.recognize import view
from real_libraries import make_torchvision_importable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::Warning"),
]


def library(name: str) -> Any:
    make_torchvision_importable()
    return pytest.importorskip(name, reason=f"{name} is not installed")


def torchvision_network(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    models = library("torchvision.models.segmentation")
    make = getattr(models, name)
    return make(weights=None, weights_backbone=None, num_classes=3), (2, 3, 64, 64)


def monai_unet(dimensions: int, norm: str) -> tuple[nn.Module, tuple[int, ...]]:
    nets = library("monai.networks.nets")
    network = nets.UNet(
        spatial_dims=dimensions,
        in_channels=1,
        out_channels=3,
        channels=(8, 16, 24),
        strides=(2, 2),
        num_res_units=1,
        norm=norm,
    )
    return network, (2, 1, *(16,) * dimensions)


def smp_network(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    models = library("segmentation_models_pytorch")
    make = getattr(models, name)
    return make("resnet18", encoder_weights=None, classes=3), (2, 3, 64, 64)


NETWORKS: dict[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]] = {
    "torchvision fcn_resnet50": lambda: torchvision_network("fcn_resnet50"),
    "torchvision deeplabv3_mobilenet_v3_large": lambda: torchvision_network(
        "deeplabv3_mobilenet_v3_large"
    ),
    "torchvision lraspp_mobilenet_v3_large": lambda: torchvision_network(
        "lraspp_mobilenet_v3_large"
    ),
    "monai UNet 2-d, batch": lambda: monai_unet(2, "batch"),
    "monai UNet 3-d, batch": lambda: monai_unet(3, "batch"),
    "monai UNet 3-d, instance": lambda: monai_unet(3, "instance"),
    "smp Unet": lambda: smp_network("Unet"),
    "smp FPN": lambda: smp_network("FPN"),
    "smp DeepLabV3Plus": lambda: smp_network("DeepLabV3Plus"),
}


def masks(output: object) -> Tensor:
    return output if isinstance(output, Tensor) else next(iter(output.values()))  # type: ignore[attr-defined]


@pytest.mark.parametrize("norm", ["gn:groups=8~", "bn"])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_converted_whole_and_trains(name: str, norm: str) -> None:
    torch.manual_seed(0)
    network, shape = NETWORKS[name]()
    norms = sum(view(module) is not None for module in network.modules())
    x = torch.randn(shape)
    with torch.no_grad():
        before = masks(network.eval()(x))
    conversion = normlab.convert_norms(network, norm)
    assert conversion.left == ()
    assert len(conversion.layers) == norms > 0
    if norm == "bn" and "instance" not in name and "FPN" not in name:
        with torch.no_grad():
            after = masks(network.eval()(x))
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    masks(network.train()(x)).square().mean().backward()
    assert all(p.grad is not None for n, p in network.named_parameters() if "aux" not in n)
