"""What of a network is trained how, and from which epoch on, when it starts from given weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from normlab.networks.view import NetworkView
from normlab.records.run import RunSpec


@dataclass(frozen=True, eq=False)
class FineTuning:
    """The head apart from the rest, the backbone."""

    head: nn.Module | None
    backbone: tuple[nn.Parameter, ...]
    backbone_ratio: float
    """Learning rate of the backbone over that of the head."""
    freeze_epochs: int
    """Epochs in which the head alone is trained. Running statistics of norms move all the same."""

    @classmethod
    def of(cls, spec: RunSpec, network: nn.Module, view: NetworkView) -> FineTuning:
        """As the spec says: networks of other libraries have options for it."""
        options = spec.network.options
        head = view.head.module if view.head is not None else None
        own = {id(p) for p in head.parameters()} if head is not None else set()
        parameters = () if head is None else tuple(network.parameters())
        return cls(
            head=head,
            backbone=tuple(p for p in parameters if id(p) not in own),
            backbone_ratio=float(options.get("backbone_lr_ratio", 1.0)),
            freeze_epochs=int(options.get("freeze_epochs", 0)),
        )

    def still(self, epoch: int) -> Sequence[nn.Parameter]:
        """The parameters that this epoch, counted from 1, leaves as they are."""
        return self.backbone if epoch <= self.freeze_epochs else ()
