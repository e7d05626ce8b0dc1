"""Which norm for segmentation, in a training loop of your own? Shapes, a small U-Net, batches of 2.

Run it with:

    python examples/own_training_segmentation.py [FOLDER] [BLOCKS]       # default: shapes-study 5
    normlab report shapes-study                                          # the page of it

Stop it at any moment and start it again: what has ended is not made again.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import normlab
from normlab.study.own.training import Block

SIZE, IMAGES, TEST, BATCH, EPOCHS = 32, 64, 64, 2, 6
CLASSES = 3  # background, discs, squares


class UNet(nn.Module):
    """Two levels down and up again (Ronneberger et al. 2015), with batch norms."""

    def __init__(self, width: int = 8) -> None:
        """So many channels at the full size, twice as many below."""
        super().__init__()
        self.down = double(3, width)
        self.below = double(width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.out = double(2 * width, width)
        self.head = nn.Conv2d(width, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every pixel."""
        fine = self.down(x)
        coarse = self.below(functional.max_pool2d(fine, 2))
        return self.head(self.out(torch.cat([fine, self.up(coarse)], 1)))


def double(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions, each with its norm and ReLU."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def shapes(count: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Discs and squares of any colour on noise: images (N, 3, S, S) and classes (N, S, S)."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    images = random.normal(0, 0.3, (count, 3, SIZE, SIZE))
    masks = np.zeros((count, SIZE, SIZE), dtype=np.int64)
    for image, mask in zip(images, masks, strict=True):
        for kind in (1, 2, 1):
            y, x = random.uniform(4, SIZE - 4, 2)
            radius = random.uniform(4, 7)
            dy, dx = abs(rows - y), abs(columns - x)
            inside = np.hypot(dy, dx) < radius if kind == 1 else np.maximum(dy, dx) < radius
            image[:, inside] += random.uniform(-2, 2, (3, 1))
            mask[inside] = kind
    return torch.from_numpy(images).float(), torch.from_numpy(masks)


def train(network: nn.Module, block: Block) -> dict[str, float]:
    """An ordinary loop; all that it draws comes from the block, so that arms are paired."""
    random = block.numpy()
    images, masks = shapes(IMAGES, random)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    network.train()
    for epoch in range(EPOCHS):
        for chosen in torch.randperm(IMAGES, generator=block.generator(epoch)).split(BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(network(images[chosen]), masks[chosen]).backward()
            optimizer.step()
    network.eval()
    images, masks = shapes(TEST, random)
    with torch.no_grad():
        found = network(images).argmax(1)
    both = [((found == k), (masks == k)) for k in range(1, CLASSES)]
    dice = [2 * float((f & m).sum()) / max(float(f.sum() + m.sum()), 1.0) for f, m in both]
    return {"dice": sum(dice) / len(dice), "pixel accuracy": float((found == masks).float().mean())}


def main() -> None:
    """Compare three norms, and print what can be said."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "shapes-study"
    blocks = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    study = normlab.own_study(
        folder, train, UNet, metric="dice", norms=["bn", "gn:groups=4", "in"], blocks=blocks
    )
    for spec, outcome in study.run():
        dice = (outcome.scores or {}).get("dice", float("nan"))
        print(f"{spec.arm} block {spec.block + 1}: {outcome.status}, dice {dice:.3f}")
    print(study.table().to_string(index=False))
    print(study.verdict)


if __name__ == "__main__":
    main()
