"""A U-Net of segmentation_models_pytorch for batches of 2: group norms in its encoder and decoder.

    pip install segmentation-models-pytorch
    python examples/segmentation_library.py

Which norm is the best there is a study: examples/own_training_segmentation.py, with this network.
"""

from __future__ import annotations

import segmentation_models_pytorch as smp
import torch
from torch import Tensor

import normlab


def discs(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Bright discs on noise: images (N, 3, S, S) and masks (N, 1, S, S)."""
    centres = torch.rand(count, 2, 1, 1, generator=generator) * size / 2 + size / 4
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    distances = ((rows - centres[:, :1]) ** 2 + (columns - centres[:, 1:]) ** 2).sqrt()
    masks = (distances < size / 5).float()
    return masks + torch.randn(count, 3, size, size, generator=generator), masks


def main() -> None:
    """Convert a ResNet-18 U-Net, and train it for some batches."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    network = smp.Unet("resnet18", encoder_weights=None, classes=1)
    conversion = normlab.convert_norms(network, "gn:groups=8~")
    print(f"{len(conversion.layers)} norms converted, {len(conversion.missed)} missed")
    optimizer = torch.optim.Adam(normlab.parameter_groups(network, 1e-3), lr=1e-3)
    loss = smp.losses.DiceLoss(mode="binary")
    losses = []
    for _ in range(12):
        images, masks = discs(2, 64, generator)
        optimizer.zero_grad()
        value = loss(network(images), masks)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    print(f"dice loss of the first batch {losses[0]:.2f}, of the last {losses[-1]:.2f}")


if __name__ == "__main__":
    main()
