"""A 3-d U-Net of MONAI, whose norms are instance norms, with others: volumes in batches of 1.

pip install monai
python examples/monai_volumes.py [NORM …]      # default: gn:groups=4~ ln
"""

from __future__ import annotations

import sys

import torch
from monai.networks.nets import UNet
from torch.nn import functional

import normlab


def main() -> None:
    """Convert a fresh network for every norm, and train it for some volumes."""
    for norm in sys.argv[1:] or ["gn:groups=4~", "ln"]:
        torch.manual_seed(0)
        network = UNet(
            spatial_dims=3, in_channels=1, out_channels=1, channels=(8, 16), strides=(2,)
        )
        conversion = normlab.convert_norms(network, norm)
        optimizer = torch.optim.Adam(normlab.parameter_groups(network, 1e-2), lr=1e-2)
        losses = []
        for _ in range(10):
            target = torch.zeros(1, 1, 12, 12, 12)
            target[..., 3:9, 3:9, 3:9] = 1  # a cube
            volume = target + torch.randn(target.shape)
            optimizer.zero_grad()
            loss = functional.binary_cross_entropy_with_logits(network(volume), target)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        first = conversion.layers[0]
        print(f"{first.before} → {first.after}: {len(conversion.layers)} norms, loss "
              f"{losses[0]:.2f} → {losses[-1]:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
