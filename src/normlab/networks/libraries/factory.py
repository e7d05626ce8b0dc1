"""A network of another library as one arm of a study wants it.

In this order, so that arms share every weight that they can, to the bit: the network is built (its
first weights come from the block's stream), the weights of the file or the library are put in, the
head is drawn anew from the block, and the norms are converted last.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from normlab.errors import UnknownNameError, UsageError
from normlab.networks.libraries.base import InputConfiguration, Source
from normlab.networks.libraries.functions import FUNCTIONS
from normlab.networks.libraries.hugging_face import HUGGING_FACE
from normlab.networks.libraries.timm_models import TIMM
from normlab.networks.libraries.torchvision_models import TORCHVISION
from normlab.networks.libraries.weights import file_hash, load_state, read_state, state_hash
from normlab.norms.spec import KEEP, NormSpec
from normlab.norms.surgery.convert import Conversion, convert_norms
from normlab.norms.surgery.freeze import freeze
from normlab.norms.surgery.recognize import view
from normlab.records.network import Option

SOURCES = (TIMM, TORCHVISION, HUGGING_FACE, FUNCTIONS)
_FREEZE = ("", "statistics", "all")


def source_of(name: str) -> tuple[Source, str] | None:
    """The source of a name and its name there; None where it is of no other library.

    >>> source_of("timm/resnet18")[1], source_of("my.nets:make")[1], source_of("resnet18")
    ('resnet18', 'my.nets:make', None)
    """
    for source in SOURCES:
        if source.prefix and name.startswith(f"{source.prefix}/"):
            return source, name.removeprefix(f"{source.prefix}/")
    return (FUNCTIONS, name) if ":" in name and "/" not in name else None


def member(source: Source, name: str) -> Any:
    """The factory of a name of this source, else None."""
    found = source_of(name)
    return partial(make, *found) if found is not None and found[0] is source else None


def make(
    source: Source,
    name: str,
    num_classes: int,
    norm: NormSpec,
    generator: torch.Generator | None,
    *,
    pretrained: bool,
    weights: str,
    weights_sha256: str,
    partial: bool,
    freeze_norm: str,
    absorb_statistics: bool = False,
    **_: Option,
) -> nn.Module:
    """Build, load, draw the head, convert: see the module.

    Raises:
        UsageError: weights that do not fit or were changed; norms that would be left.
    """
    if norm.weight_standardization:
        raise UsageError("+ws is for normlab's networks, which make their convolutions by it")
    network = source.build(name, num_classes, pretrained)
    if weights or pretrained:
        head = find_head(network, num_classes)
        if weights and not _on_no_memory():
            _load(network, Path(weights), weights_sha256, head)
        elif weights_sha256 and not _on_no_memory():
            _check_hash(network, weights_sha256, head, f"{source.prefix}/{name}")
        seed = 0 if generator is None else generator.initial_seed()
        torch.default_generator.manual_seed(seed)  # what was drawn before depends on the library
        head.reset_parameters()
    with_norm(
        network, norm, partial=partial, freeze_norm=freeze_norm, absorb_statistics=absorb_statistics
    )
    return network


def with_norm(
    network: nn.Module,
    norm: NormSpec,
    *,
    partial: bool,
    freeze_norm: str = "",
    absorb_statistics: bool = False,
) -> None:
    """Give the network an arm's norm in place of its own; `keep` leaves them.

    Raises:
        UsageError: norms would be left, and are not to be (`partial`); there are none.
    """
    if norm.info.code != KEEP.code:
        done = convert_norms(network, str(norm), absorb_statistics=absorb_statistics)
        _refuse_partial(done, str(norm), partial)
    frozen = freeze_norm or str(norm.options.get("frozen", "") if norm.info.code == "keep" else "")
    _freeze_norms(network, frozen)


def complete(name: str, options: Mapping[str, Option]) -> dict[str, Option]:
    """The options as a plan holds them: with what is known of the library and the weights.

    Args:
        name: of a network of another library.
        options: all of them, as far as the user chose.

    Raises:
        UsageError: options that contradict each other; weights that cannot be read.
        MissingExtraError: the library is not installed.
    """
    found = source_of(name)
    assert found is not None
    source, own = found
    if options["weights"] and options["pretrained"]:
        raise UsageError("--weights and --pretrained both name the weights; leave one of them out")
    if options["freeze_norm"] not in _FREEZE:
        raise UnknownNameError("freeze_norm", str(options["freeze_norm"]), _FREEZE[1:])
    if not 0 < float(options["layer_decay"]) <= 1:
        raise UsageError(
            "layer_decay is the share of the rate that a part has of the one after it, above 0 and "
            f"at most 1; got {options['layer_decay']:g}"
        )
    filled = {**options, "library": options["library"] or source.version()}
    given = bool(options["weights"] or options["pretrained"])
    if not given:
        return filled
    if not options["weights_sha256"]:
        filled["weights_sha256"] = (
            file_hash(Path(str(options["weights"])))
            if options["weights"]
            else _hash_of_pretrained(source, own)
        )
    wanted = source.input_of(own)
    if wanted.mean is not None and wanted.std is not None and not options["input_mean"]:
        filled["input_mean"] = ",".join(f"{v:g}" for v in wanted.mean)
        filled["input_std"] = ",".join(f"{v:g}" for v in wanted.std)
    return filled


def wanted_input(name: str) -> InputConfiguration:
    """What the weights of a network of another library were trained on.

    Raises:
        UsageError: no such network, or its library is not installed.
    """
    found = source_of(name)
    return InputConfiguration() if found is None else found[0].input_of(found[1])


def find_head(network: nn.Module, num_classes: int) -> nn.Linear | nn.Conv2d:
    """The last layer with `num_classes` outputs.

    Raises:
        UsageError: there is none.
    """
    found: nn.Linear | nn.Conv2d | None = None
    for module in network.modules():
        outputs = getattr(module, "out_features", getattr(module, "out_channels", None))
        if isinstance(module, (nn.Linear, nn.Conv2d)) and outputs == num_classes:
            found = module
    if found is None:
        raise UsageError(
            f"the network has no linear layer or convolution of {num_classes} outputs, so that its "
            "head cannot be drawn anew for the classes of the data; give one that takes num_classes"
        )
    return found


def _load(network: nn.Module, path: Path, expected: str, head: nn.Module) -> None:
    if expected and file_hash(path) != expected:
        raise UsageError(
            f"the weights {path} are not those that the study was begun with (their SHA-256 "
            "differs); put those back, or start another study"
        )
    load_state(network, read_state(path), _names_of(network, head), path)


def _check_hash(network: nn.Module, expected: str, head: nn.Module, name: str) -> None:
    if state_hash(network, _names_of(network, head)) != expected:
        raise UsageError(
            f"the pretrained weights of {name} are not those that the study was begun with (their "
            "SHA-256 differs); install the version of the library that study.toml names"
        )


def _hash_of_pretrained(source: Source, name: str) -> str:
    network = source.build(name, 2, True)
    return state_hash(network, _names_of(network, find_head(network, 2)))


def _names_of(network: nn.Module, layer: nn.Module) -> set[str]:
    prefix = next(name for name, module in network.named_modules() if module is layer)
    return {f"{prefix}.{name}" if prefix else name for name, _ in layer.named_parameters()}


def _refuse_partial(conversion: Conversion, norm: str, partial: bool) -> None:
    if conversion.layers and (partial or not conversion.missed):
        return
    if not conversion.layers and not conversion.missed:
        raise UsageError(
            "the network has no normalization that could be replaced, so that its arms would be "
            "equal; choose one that has"
        )
    named = "; ".join(f"{name}: {reason}" for name, reason in conversion.missed[:2])
    more = f"; and {len(conversion.missed) - 2} more" if len(conversion.missed) > 2 else ""
    if not conversion.layers:
        raise UsageError(
            f"no norm of the network can become {norm} ({named}{more}); choose another"
        )
    raise UsageError(
        f"{len(conversion.missed)} norms of the network cannot become {norm} and would be in every "
        f"arm ({named}{more}); add --partial to compare the other {len(conversion.layers)}"
    )


def _freeze_norms(network: nn.Module, how: str) -> None:
    if not how:
        return
    if how not in _FREEZE:
        raise UnknownNameError("way to freeze", how, _FREEZE[1:])
    freeze(network)
    if how == "all":
        for module in network.modules():
            if view(module) is not None:
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad = False


def _on_no_memory() -> bool:
    return torch.empty(0).device.type == "meta"
