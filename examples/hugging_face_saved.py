"""A ResNet of Hugging Face with another norm: converted, trained, saved, and loaded again.

    pip install "normlab[transformers]"
    python examples/hugging_face_saved.py [FOLDER]       # default: resnet-gn

`convert_norms` notes what it did in the model's configuration, which is saved with the weights. A
class of three lines reads it, so that `from_pretrained` builds what the weights belong to.
"""

from __future__ import annotations

import sys

import torch
from transformers import ResNetConfig, ResNetForImageClassification

import normlab


class ConvertedResNetForImageClassification(ResNetForImageClassification):
    """The model with the norms of its configuration; its loss is chosen by the end of this name."""

    def __init__(self, config: ResNetConfig) -> None:
        """Build it as it was, then convert it as it was."""
        super().__init__(config)
        normlab.restore_norms(self, getattr(config, "normlab_norms", []))


def main() -> None:
    """A small one with random weights; a real one comes from from_pretrained(NAME)."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "resnet-gn"
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    config = ResNetConfig(**sizes, layer_type="basic", num_labels=3)
    model = ConvertedResNetForImageClassification(config)
    conversion = normlab.convert_norms(model, "gn:groups=8~")
    print(f"{len(conversion.layers)} norms converted, {len(conversion.missed)} missed")

    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8) % 3
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        model(pixel_values=images, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)

    again = ConvertedResNetForImageClassification.from_pretrained(folder)
    same = torch.equal(again.eval()(images).logits, model.eval()(images).logits)
    kinds = {type(module).__name__ for module in again.modules() if "Norm" in type(module).__name__}
    print(f"loaded again from {folder}: {', '.join(sorted(kinds))}; the same logits: {same}")


if __name__ == "__main__":
    main()
