"""Which network, and what is done with one of another library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from normlab.cli.options import Model
from normlab.errors import UsageError

DEFAULT_MODEL = "cifar-resnet14"


@dataclass(frozen=True)
class NetworkOptions:
    """The network of all arms."""

    model: Model = DEFAULT_MODEL
    n: Annotated[
        int | None,
        typer.Option(
            min=1, help="cifar-resnet of 6n+2 layers, n blocks a stage.", show_default="2"
        ),
    ] = None
    shortcut: Annotated[
        str | None,
        typer.Option(
            help="Of a residual network, where it changes size: A (pad) or B (convolution).",
            show_default="A",
        ),
    ] = None
    pretrained: Annotated[
        bool,
        typer.Option(
            "--pretrained",
            help="Of --model timm/NAME, torchvision/NAME, hf/FOLDER: its weights, downloaded.",
        ),
    ] = False
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights for it: .safetensors, or a state dict of torch.", show_default="random"
        ),
    ] = None
    backbone_lr_ratio: Annotated[
        float, typer.Option(min=0, help="Learning rate of all but its head over the head's.")
    ] = 1.0
    freeze_epochs: Annotated[
        int, typer.Option(min=0, help="Epochs in which its head alone is trained.")
    ] = 0
    freeze_norm: Annotated[
        str,
        typer.Option(
            help="Its norms in all arms: statistics, or all (scale and shift too).",
            show_default="trained",
        ),
    ] = ""
    layer_decay: Annotated[
        float,
        typer.Option(help="Learning rate of each of its parts over that of the part after it."),
    ] = 1.0
    partial: Annotated[
        bool, typer.Option("--partial", help="Allow norms that no arm can convert.")
    ] = False

    def network(self) -> dict[str, Any]:
        """The network with its options, as a plan has it.

        Raises:
            UsageError: --n and --model name two networks.
        """
        from normlab.records.network import LIBRARY_OPTIONS, parse_network

        network = parse_network(self.model)
        if self.n is not None:
            name = f"cifar-resnet{6 * self.n + 2}"
            if self.model not in (DEFAULT_MODEL, name):
                raise UsageError(
                    f"--n {self.n} is {name}, and --model says {self.model}; leave one of them out"
                )
            network["name"] = name
        chosen: dict[str, Any] = {
            name: getattr(self, name) for name in LIBRARY_OPTIONS if hasattr(self, name)
        }
        chosen["weights"] = str(self.weights.resolve()) if self.weights else ""
        chosen = {key: value for key, value in chosen.items() if value != LIBRARY_OPTIONS[key]}
        if self.shortcut is not None:
            chosen["shortcut"] = self.shortcut
        network["options"] = {**network["options"], **chosen}
        return network
