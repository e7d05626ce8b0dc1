"""The networks by name: those of normlab, and those that plugins register.

    @normlab.register_network("plain", paper="none")
    def plain(num_classes, norm, generator, *, width=16):
        "Two convolutions."
        return nn.Sequential(…, norm.make(width), …)

The docstring's first line is the line that `normlab networks` prints, keyword-only arguments are
the options. An installed package names such functions, or the module that registers them, in the
entry-point group `normlab.networks`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import nn

from normlab.errors import UnknownNameError, UsageError
from normlab.networks.base import NetworkFactory
from normlab.networks.libraries import factory as libraries
from normlab.networks.resnet import resnet
from normlab.norms.spec import NormSpec, parse_norm
from normlab.norms.surgery.freeze import guard
from normlab.plugins import register_group
from normlab.records.network import (
    LIBRARY_OPTIONS,
    OWN_OPTIONS,
    OWN_TRAINING,
    RESIDUAL_OPTIONS,
    Option,
    present_name,
)
from normlab.records.run import NetworkSpec

_OTHERS_MEAN = ("resnet50", "resnet152")
"""Names of 6n+2 layers that torchvision has for other networks."""
_CALLED_WITH = ("num_classes", "norm", "generator")
Factory = TypeVar("Factory", bound=Callable[..., nn.Module])


@dataclass(frozen=True)
class NetworkInfo:
    """One row of `normlab networks`: a network, or a family with a rule for its names."""

    name: str
    """The name; of a family its rule, e.g. "cifar-resnet{6n+2}"."""
    summary: str
    paper: str
    options: Mapping[str, Option]
    """Every option with its default; the default's type is the option's type."""
    member: Callable[[str], NetworkFactory | None]
    """The factory of a name, or None where the name is of another network."""
    examples: tuple[str, ...] = ()
    """Of a family: some of its names, which are suggested for a name that is unknown."""
    complete: Callable[[str, Mapping[str, Option]], dict[str, Option]] | None = None
    """What a new plan holds of the options of a name, beside those that the user chose."""


def _made_elsewhere(*_: object, **options: object) -> nn.Module:
    raise UsageError(
        f"the network of this study is made by {options.get('network')}, a function of a program "
        "of your own; run that program"
    )


NETWORKS: dict[str, NetworkInfo] = {
    info.name: info
    for info in (
        NetworkInfo(
            name="cifar-resnet{6n+2}",
            summary="residual network for small images, n blocks of 16, 32 and 64 filters",
            paper="He et al. 2015, section 4.2, arXiv:1512.03385",
            options=RESIDUAL_OPTIONS,
            member=resnet.small_factory,
            examples=tuple(f"cifar-resnet{6 * n + 2}" for n in range(1, 10)),
        ),
        *(
            NetworkInfo(
                name=name,
                summary=f"residual network for large images, {sum(blocks)} blocks in 4 stages",
                paper="He et al. 2015, table 1, arXiv:1512.03385",
                options=RESIDUAL_OPTIONS,
                member=functools.partial(resnet.large_factory, name),
            )
            for name, blocks in resnet.LARGE_IMAGE_BLOCKS.items()
        ),
        NetworkInfo(
            name=OWN_TRAINING,
            summary="what a training of your own makes (normlab.own_study)",
            paper="–",
            options=OWN_OPTIONS,
            member=lambda name: _made_elsewhere if name == OWN_TRAINING else None,
        ),
        *(
            NetworkInfo(
                name=f"{source.prefix}/{{name}}"
                if source.prefix
                else "{package.module}:{function}",
                summary=source.summary,
                paper="–",
                options=LIBRARY_OPTIONS,
                member=functools.partial(libraries.member, source),
                complete=libraries.complete,
            )
            for source in libraries.SOURCES
        ),
    )
}


def register_network(
    name: str, *, summary: str = "", paper: str = ""
) -> Callable[[Factory], Factory]:
    """Add a network of this process under a name; a decorator of its factory.

    Args:
        name: as it is written in plans and after --model.
        summary: the line that `normlab networks` prints; by default the docstring's first one.
        paper: where the network is described.

    Returns:
        A decorator that gives the factory back, a function of num_classes, norm, generator and its
            options as keywords.

    Raises:
        UsageError: the name is taken or cannot be written in a plan; a function that does not take
            what a factory takes.

    >>> @register_network("linear-example")
    ... def linear(num_classes, norm, generator, *, side=8):
    ...     "One layer."
    ...     return nn.Sequential(norm.make(3), nn.Flatten(), nn.Linear(3 * side**2, num_classes))
    >>> find_network("linear-example")[0].options
    {'side': 8}
    >>> del NETWORKS["linear-example"]
    """

    def add(factory: Factory) -> Factory:
        if _find(name) is not None:
            raise UsageError(f"there is a network {name!r} already; choose another name")
        if not name or set(name) & set(":,={} ") or name.startswith(("resnet", "cifar-resnet")):
            raise UsageError(
                f"a network's name has no space, none of : , = {{ }} and does not begin with "
                f"resnet, got {name!r}; choose another"
            )
        lines = (factory.__doc__ or "").strip().splitlines()
        NETWORKS[name] = NetworkInfo(
            name=name,
            summary=summary or (lines[0] if lines else "–"),
            paper=paper or "–",
            options=_options_of(name, factory),
            member=lambda wanted: cast("NetworkFactory", factory) if wanted == name else None,
        )
        return factory

    return add


def all_networks() -> Mapping[str, NetworkInfo]:
    """All networks by name, those of installed packages too.

    Raises:
        PluginError: an installed package gives what is no network, or one whose name is taken.
    """
    register_group("normlab.networks", object, _register_once)
    return NETWORKS


def find_network(name: str) -> tuple[NetworkInfo, NetworkFactory]:
    """The row and the factory of a name.

    Args:
        name: of a network, without options.

    Returns:
        Its row of `normlab networks`, and the function that makes it.

    Raises:
        UnknownNameError: no network has that name, nor does an installed package bring one.
    """
    found = _find(name)
    if found is None:
        all_networks()
        found = _find(name)
    if found is None:
        known = [n for info in NETWORKS.values() for n in (*info.examples, info.name)]
        raise UnknownNameError("network", name, known)
    return found


def checked(spec: NetworkSpec) -> NetworkSpec:
    """The spec as a new plan holds it: today's name, and every option with its value.

    Args:
        spec: as a user writes it.

    Returns:
        The same network with every option.

    Raises:
        UnknownNameError: no such network or option.
        UsageError: a value of the wrong type; a name that others use for another network.

    >>> checked(NetworkSpec(name="cifar-resnet14")).options["shortcut"]
    'A'
    """
    if spec.name in _OTHERS_MEAN:
        raise UsageError(
            f"{spec.name} means one network to torchvision and was another here; write "
            f"{present_name(spec.name)} for that of He et al. 2015, section 4.2, for small images, "
            f"or torchvision/{spec.name} for theirs"
        )
    name = present_name(spec.name)
    info, _ = find_network(name)
    options = _complete(name, info, spec.options)
    return NetworkSpec(
        name=name, options=info.complete(name, options) if info.complete else options
    )


def make_network(
    spec: NetworkSpec | str,
    num_classes: int,
    norm: NormSpec | str,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """The network of a spec, also under the name that it had in the first records.

    The global generator is as it was afterwards.

    Args:
        spec: the network's name, or its name and options.
        num_classes: the width of the output.
        norm: the normalization, or its spec string.
        generator: source of the initial weights; torch's global generator if None.

    Returns:
        The network, which maps (N, 3, H, W) to logits of shape (N, num_classes).

    Raises:
        UnknownNameError: no such network, norm or option.
        UsageError: a value that cannot be used; a factory that returns no module.

    >>> network = make_network("cifar-resnet8", 10, "gn:groups=4")
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    spec = NetworkSpec.model_validate(spec) if isinstance(spec, str) else spec
    norm = parse_norm(norm) if isinstance(norm, str) else norm
    name = present_name(spec.name)
    info, make = find_network(name)
    options = _complete(name, info, spec.options)
    with torch.random.fork_rng(devices=[]):
        if generator is not None:
            torch.default_generator.manual_seed(generator.initial_seed())
        network: Any = cast("Any", make)(
            num_classes=num_classes, norm=norm, generator=generator, **options
        )
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"the factory of the network {name!r} must return a torch.nn.Module, and it returned "
            f"{type(network).__name__}; see normlab.testing.NetworkContract"
        )
    guard(network)
    return network


def _register_once(name: str, factory: object) -> None:
    """A package may register its network when it is imported, and name it as an entry point too."""
    if not callable(factory):
        raise UsageError(
            f"a network is a function that makes one, got {type(factory).__name__}; "
            "see normlab.testing.NetworkContract"
        )
    found = _find(name)
    if found is None or found[1] is not factory:
        register_network(name)(factory)


def _find(name: str) -> tuple[NetworkInfo, NetworkFactory] | None:
    for info in NETWORKS.values():
        factory = info.member(name)
        if factory is not None:
            return info, factory
    return None


def _options_of(name: str, factory: Callable[..., nn.Module]) -> dict[str, Option]:
    signature = inspect.signature(factory)
    keywords = [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    options = {p.name: p.default for p in keywords if p.default is not p.empty}
    try:
        signature.bind(num_classes=2, norm=None, generator=None)
    except TypeError as error:
        raise UsageError(
            f"the factory of the network {name!r} cannot be called with num_classes, norm and "
            f"generator ({error}); its other arguments need defaults"
        ) from None
    wrong = [key for key, value in options.items() if not isinstance(value, Option)]
    if wrong:
        raise UsageError(
            f"the option {wrong[0]!r} of the network {name!r} must be true or false, a number or "
            "text by default, so that a plan can hold it"
        )
    return {key: value for key, value in options.items() if key not in _CALLED_WITH}


def _complete(name: str, info: NetworkInfo, given: Mapping[str, Option]) -> dict[str, Option]:
    options = dict(info.options)
    for key, value in given.items():
        if key not in options:
            raise UnknownNameError(f"option of {name}", key, list(options) or ["(none)"])
        kind = type(options[key])
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            named = {bool: "true or false", int: "an integer", float: "a number", str: "text"}
            raise UsageError(f"option {key} of {name} takes {named[kind]}, got {value!r}")
        options[key] = value
    return options
