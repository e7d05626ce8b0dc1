"""What of a network is trained how, and from which epoch on, when it starts from given weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from normlab.networks.view import NetworkView
from normlab.records.run import RunSpec


@dataclass(frozen=True, eq=False)
class FineTuning:
    """The head apart from the rest, the backbone, and the backbone part by part."""

    backbone: tuple[nn.Parameter, ...]
    rate_shares: Mapping[int, float]
    """Of each parameter, by its id: its learning rate over that of the head; 1 where not said."""
    freeze_epochs: int
    """Epochs in which the head alone is trained. Running statistics of norms move all the same."""

    @classmethod
    def of(cls, spec: RunSpec, network: nn.Module, view: NetworkView) -> FineTuning:
        """As the spec says: networks of other libraries have options for it.

        What is not in the head learns at `backbone_lr_ratio` of the rate, and with `layer_decay` d
        the parameters of part i of P (in the order in which they run, the head last) at d^(P−1−i)
        of it (Clark et al. 2020, arXiv:2003.10555; Bao et al. 2022, arXiv:2106.08254).
        """
        options = spec.network.options
        head = view.head.module if view.head is not None else None
        own = {id(p) for p in head.parameters()} if head is not None else set()
        parameters = () if head is None else tuple(network.parameters())
        backbone = tuple(p for p in parameters if id(p) not in own)
        ratio, decay = (
            float(options.get(name, 1.0)) for name in ("backbone_lr_ratio", "layer_decay")
        )
        shares = {id(p): ratio for p in backbone} if ratio != 1 else {}
        if decay != 1:
            depths = depths_of(network, view)
            last = max(depths.values(), default=0)
            shares = {
                id(p): shares.get(id(p), 1.0) * decay ** (last - depths.get(id(p), 0))
                for p in parameters
            }
        return cls(backbone, shares, int(options.get("freeze_epochs", 0)))

    def still(self, epoch: int) -> Sequence[nn.Parameter]:
        """The parameters that this epoch, counted from 1, leaves as they are."""
        return self.backbone if epoch <= self.freeze_epochs else ()


def depths_of(network: nn.Module, view: NetworkView) -> dict[int, int]:
    """The part that each parameter is in, by its id, counted from 0 in the order of running.

    A norm that is a part of its own counts to the part before it. Parameters in no part, as the
    position embeddings of a transformer, are not listed: they count as the first part's.
    """
    norms = {site.name for site in view.norm_sites}
    found: dict[int, int] = {}
    depth = -1
    for name in view.parts:
        if name not in norms or depth < 0:
            depth += 1
        found |= {id(p): depth for p in network.get_submodule(name).parameters()}
    if view.head is not None:
        found |= dict.fromkeys(map(id, view.head.module.parameters()), max(depth, 0))
    return found
