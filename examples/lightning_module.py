"""A norm in a Lightning module: gates kept in their interval, and a backbone frozen at first.

pip install "pytorch-lightning>=2.6.4"           # 2.6.2 and 2.6.3 were malicious releases
python examples/lightning_module.py [NORM …]     # default: bn bin
"""

from __future__ import annotations

import sys

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import BaseFinetuning
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset

import normlab

RATE, DECAY = 0.05, 5e-4


class Digits(lightning.LightningModule):
    """A residual network of 8 layers; its norm is a hyperparameter."""

    def __init__(self, norm: str) -> None:
        """Make the network."""
        super().__init__()
        self.save_hyperparameters()
        self.network = normlab.resnet(n=1, num_classes=10, norm=norm)
        self.running_means = [self.network.stem.norm.running_mean.clone()]

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Cross-entropy of a batch."""
        images, classes = batch
        return functional.cross_entropy(self.network(images), classes)

    def on_train_batch_end(self, *_: object) -> None:
        """The forward keeps the gates of `bin` in [0, 1]; this brings the optimizer back, too."""
        normlab.clamp_gates(self.network)

    def on_train_epoch_end(self) -> None:
        """To see below what moved."""
        self.running_means.append(self.network.stem.norm.running_mean.clone())

    def configure_optimizers(self) -> Optimizer:
        """Of the head; the backbone comes in later."""
        groups = normlab.parameter_groups(self.network.classifier, RATE, weight_decay=DECAY)
        return torch.optim.SGD(groups, lr=RATE, momentum=0.9)


class HeadFirst(BaseFinetuning):
    """The head alone for one epoch, then the backbone at a tenth of its rate."""

    def freeze_before_training(self, pl_module: Digits) -> None:
        """Lightning finds batch norms by their type, as `bn` is one, and stops their statistics.

        Any other norm with running statistics, as `bin`, takes normlab.freeze, which also lets the
        norms normalize by them. It comes first: what Lightning has stopped keeps no statistics.
        """
        for part in (pl_module.network.stem, pl_module.network.stages):
            normlab.freeze(part)
            self.freeze(part, train_bn=False)

    def finetune_function(self, pl_module: Digits, epoch: int, optimizer: Optimizer) -> None:
        """Called before every epoch."""
        if epoch == 1:
            for part in (pl_module.network.stem, pl_module.network.stages):
                self.make_trainable(part)
                normlab.unfreeze(part)
                for group in normlab.parameter_groups(part, RATE / 10, weight_decay=DECAY):
                    optimizer.add_param_group(group)


def digits() -> DataLoader:
    """200 of scikit-learn's digits as images (N, 3, 8, 8) from 0 to 1."""
    found = load_digits()
    images = torch.tensor(found.images[:200] / 16, dtype=torch.float32)
    classes = torch.tensor(found.target[:200])
    return DataLoader(TensorDataset(images[:, None].repeat(1, 3, 1, 1), classes), batch_size=25)


def main() -> None:
    """Train two epochs with each norm; say what moved."""
    for norm in sys.argv[1:] or ["bn", "bin"]:
        torch.manual_seed(0)
        module = Digits(norm)
        lightning.Trainer(
            max_epochs=2,
            callbacks=[HeadFirst()],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(module, digits())
        before, first, second = module.running_means
        gates = [p for name, p in module.named_parameters() if name.endswith(".gate")]
        kept = all(bool(((gate >= 0) & (gate <= 1)).all()) for gate in gates)
        moved = [not torch.equal(before, first), not torch.equal(first, second)]
        print(f"{norm}: statistics moved in epoch 1: {moved[0]}, in epoch 2: {moved[1]}; "
              f"{len(gates)} gates, in [0, 1]: {kept}")  # fmt: skip


if __name__ == "__main__":
    main()
