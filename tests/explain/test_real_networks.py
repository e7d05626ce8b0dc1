"""Class activation maps of the real timm and torchvision, where they are installed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import normlab
from normlab.explain.gradcam import grad_cam
from normlab.explain.layers import choose_layers
from normlab.networks.libraries.factory import find_head
from normlab.networks.view import inspect_network
from real_libraries import make_torchvision_importable

LAYERS = {
    "timm/test_resnet": ("layer4.0.act2",),
    "timm/mobilenetv3_small_050": ("blocks.5.0.bn1", "blocks.5.0.bn1.act"),
    "timm/tf_efficientnet_lite0": ("bn2", "bn2.act"),
    "timm/convnext_atto": ("norm_pre",),
    "timm/vit_tiny_patch16_224": ("blocks.11.norm1",),
    "timm/swin_tiny_patch4_window7_224": ("norm",),
    "timm/mixer_s32_224": ("norm",),
    "torchvision/vit_b_32": ("encoder.layers.encoder_layer_11.ln_1",),
    "torchvision/convnext_tiny": ("features",),
}
"""The last layer of the maps (or the activation within it); see NetworkView.cam_layers."""


def make(name: str) -> nn.Module:
    make_torchvision_importable()
    library, _, own = name.partition("/")
    models = pytest.importorskip(library, reason=f"{library} is not installed")
    if library == "timm":
        return models.create_model(own, num_classes=3)
    return models.models.get_model(own, weights=None, num_classes=3)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["keep", "gn:groups=8~"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_map_has_a_gradient_everywhere_it_could(name: str, norm: str) -> None:
    network = make(name).eval()
    if norm != "keep":
        normlab.convert_norms(network, norm)
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    layers = choose_layers(inspect_network(network, images), "last")
    assert layers[-1] in LAYERS[name]
    generator = torch.Generator().manual_seed(1)
    head = find_head(network, 3)
    with torch.no_grad():  # some begin at zero
        head.weight.normal_(generator=generator)
    found = grad_cam(network, images.expand(3, -1, -1, -1), torch.arange(3), layers).maps
    assert found.shape == (3, 224, 224)
    assert found.std((1, 2)).max() > 0
