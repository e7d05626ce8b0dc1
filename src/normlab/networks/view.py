"""What may be known of a network, whoever made it: read off one forward pass by hooks.

Its norms and the convolution before each, its head, its parts in the order in which they run, and
the layers that class activation maps are taken from. Nothing else in the package knows what a
network's modules are called.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from normlab.networks.feature_maps import feature_map, prefix_tokens
from normlab.networks.statistics import UNKNOWN, Shape, Statistics, statistics_of
from normlab.norms.functional.layout import as_planes
from normlab.norms.surgery import recognize
from normlab.records.run import NormSite

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_POOLING = (nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


@dataclass(frozen=True, eq=False)
class SiteView:
    """One normalization in its place."""

    name: str
    module: nn.Module
    facts: NormSite
    """What the record keeps."""
    convolution: nn.Module | None
    """The one whose output it reads as it is, if there is one."""
    before_relu: bool
    """Whether a ReLU module reads its output as it is."""


@dataclass(frozen=True, eq=False)
class HeadView:
    """The layer that gives the logits; its input are the penultimate features."""

    name: str
    module: nn.Module
    features: int
    """Values of an image in them."""


@dataclass(frozen=True, eq=False)
class NetworkView:
    """What one forward pass showed."""

    norm_sites: tuple[SiteView, ...]
    """Layers of NormSpec and of any known library, in the order of the network's modules."""
    head: HeadView | None
    parts: tuple[str, ...]
    """Modules with parameters that make up the network, in the order in which they ran."""
    cam_layers: tuple[str, ...]
    """Modules whose outputs class activation maps are taken from, in the order in which they ran:
    all activations of the last resolution and width, or the last feature map before pooling; see
    normlab.networks.feature_maps. Empty without a norm or a convolution that gives a map."""


@dataclass(frozen=True, eq=False)
class _Call:
    name: str
    module: nn.Module
    input: Any
    activation: str
    output: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.output.shape) if isinstance(self.output, Tensor) else ()


def inspect_network(network: nn.Module, example: Float[Tensor, "n 3 h w"]) -> NetworkView:
    """Send the example through the network and say what was seen.

    In the network's present mode, so that in training statistics are those of the example's batch.
    Parameters, buffers, modes, hooks and the generators are afterwards as they were.

    Args:
        network: an image classifier of any library.
        example: images of the size and number that the network is meant for, on its device.

    Returns:
        Its normalizations in their places, its head, its parts and its layers for activation maps.

    >>> from normlab.networks.registry import make_network
    >>> view = inspect_network(make_network("cifar-resnet8", 10, "bn"), torch.zeros(4, 3, 16, 16))
    >>> view.head.name, view.parts
    ('classifier', ('stem', 'stages.0', 'stages.1', 'stages.2', 'classifier'))
    >>> [(s.name, s.facts.over, s.facts.values) for s in view.norm_sites][-1]
    ('stages.2.0.norm2', 'batch', 64)
    """
    with _recorded(network) as calls:
        devices = [example.device] if example.is_cuda else []
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.func.functional_call(network, buffers, (example,))
    sites = norm_modules(network)
    head = _head(calls)
    first: dict[str, _Call] = {}
    for call in calls:
        first.setdefault(call.name, call)
    return NetworkView(
        norm_sites=tuple(_site_views(sites, first, calls)),
        head=head,
        parts=_parts(network, tuple(first)),
        cam_layers=_cam_layers(sites, head, calls, (example.shape[-2], example.shape[-1])),
    )


def norm_modules(network: nn.Module) -> dict[str, nn.Module]:
    """The normalizations by name: what a NormSpec made, and layers of any known library.

    Args:
        network: any module; of a norm within a norm only the outer one counts.

    Returns:
        The modules in the order of `network.named_modules()`.

    >>> list(norm_modules(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))))
    ['1']
    """
    found: dict[str, nn.Module] = {}
    for name, module in network.named_modules():
        within_another = any(name.startswith(f"{outer}.") for outer in found)
        if not within_another and (made_by_spec(module) or recognize.view(module) is not None):
            found[name] = module
    return found


def made_by_spec(module: nn.Module) -> bool:
    """Whether `NormSpec.make` made the layer."""
    return "norm_spec" in vars(module)


@contextmanager
def _recorded(network: nn.Module) -> Iterator[list[_Call]]:
    """The calls of all modules in the order in which they ended."""
    calls: list[_Call] = []

    def record(name: str) -> Any:
        def hook(module: nn.Module, args: Any, options: dict[str, Any], output: Any) -> None:
            x = args[0] if args else next(iter(options.values()), None)
            calls.append(_Call(name, module, x, str(options.get("activation", "none")), output))

        return hook

    handles = [
        module.register_forward_hook(record(name), with_kwargs=True)
        for name, module in network.named_modules()
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _site_views(
    sites: dict[str, nn.Module], first: dict[str, _Call], calls: list[_Call]
) -> Iterator[SiteView]:
    # Outputs are told apart as objects; the calls keep them, so that no number is used twice.
    made_by = {id(c.output): c.module for c in calls if isinstance(c.module, _Convolution)}
    read_by_relu = {id(c.input) for c in calls if isinstance(c.module, nn.ReLU)}
    known: dict[tuple[Any, ...], Statistics] = {}
    for name, module in sites.items():
        call = first.get(name)
        if call is None:
            continue
        shape = _shape(module, call.input)
        key = (type(module), repr(module), module.training, shape)
        if key not in known:
            known[key] = UNKNOWN if shape is None else statistics_of(module, shape)
        found = known[key]
        yield SiteView(
            name=name,
            module=module,
            facts=NormSite(
                layer=name,
                kind=type(module).__name__,
                over=found.over,
                values=found.values,
                standardizes=found.standardizes,
            ),
            convolution=made_by.get(id(call.input)),
            before_relu=id(call.output) in read_by_relu,
        )


_Convolution = nn.modules.conv._ConvNd


def _shape(module: nn.Module, x: Any) -> Shape | None:
    layout = recognize.layout_of(module)
    if not isinstance(x, Tensor) or x.dim() < 2 or (layout == "nchw" and x.dim() != 4):
        return None
    samples, channels, height, width = as_planes(x, layout).shape
    return samples, channels, height, width


def _head(calls: list[_Call]) -> HeadView | None:
    for call in reversed(calls):
        if isinstance(call.module, nn.Linear):
            return HeadView(call.name, call.module, call.input[0].numel())
        if isinstance(call.module, _Convolution):
            return HeadView(call.name, call.module, call.input[0].numel())
    return None


def _parts(network: nn.Module, ran: tuple[str, ...]) -> tuple[str, ...]:
    """The children, those of a container in its place; of a mere wrapper those of its core."""
    prefix, core = "", network
    while True:
        children = [(n, m) for n, m in core.named_children() if any(True for _ in m.parameters())]
        if len(children) != 1 or not any(True for _ in children[0][1].children()):
            break
        prefix, core = f"{prefix}{children[0][0]}.", children[0][1]
    names = []
    for name, module in children:
        if isinstance(module, _CONTAINERS):
            names += [
                f"{prefix}{name}.{inner}"
                for inner, m in module.named_children()
                if any(True for _ in m.parameters())
            ]
        else:
            names.append(f"{prefix}{name}")
    return tuple(sorted((n for n in names if n in ran), key=ran.index))


def _cam_layers(
    sites: dict[str, nn.Module], head: HeadView | None, calls: list[_Call], size: tuple[int, int]
) -> tuple[str, ...]:
    """See `NetworkView.cam_layers`; `size` is that of the images.

    The last feature map before pooling; where that is what activation modules (or norms with an
    activation) give, all that these give at its resolution and width. Of tokens with a class token
    among them, which alone is read in the end, it is the input of the last block instead.
    """
    apart = "" if head is None else head.name
    found = {
        call: map_.shape[1:]
        for call in calls
        if call.name not in ("", apart)
        and (map_ := feature_map(call.module, call.output, *size)) is not None
    }
    wide = {shape[0] for shape in found.values() if shape[1] * shape[2] > 1}
    # One place alone, as wide as a map before it: that map after the pooling.
    maps = [c for c, (k, h, w) in found.items() if h * w > 1 or k not in wide]
    learned = [c for c in maps if c.name in sites or isinstance(c.module, _Convolution)]
    if not learned:
        return ()
    tokens = [c for c in maps if c.name in sites and len(c.shape) == 3]
    if tokens and tokens[-1] is [c for c in learned if c.name in sites][-1]:
        return (_token_layer(tokens, size),)
    last = ([c for c in learned if c.name in sites] or learned)[-1]
    alike = [call for call in maps if call.shape[1:] == last.shape[1:]]
    fused = [c.name for c in alike if c.name in sites and c.activation != "none"]
    activations = [c.name for c in alike if type(c.module).__module__ == nn.ReLU.__module__]
    if fused or activations:
        return tuple(dict.fromkeys(fused or activations))
    final = [c for c in maps if not isinstance(c.module, _POOLING)][-1]
    return (last.name if final.output is last.output else final.name,)


def _token_layer(tokens: list[_Call], size: tuple[int, int]) -> str:
    if not prefix_tokens(tokens[-1].shape[1], *size):
        return tokens[-1].name
    within: dict[str, list[str]] = {}
    for call in tokens:
        if call.shape == tokens[-1].shape:
            within.setdefault(call.name.rpartition(".")[0], []).append(call.name)
    blocks = [names for names in within.values() if len(names) > 1]
    return blocks[-1][0] if blocks else tokens[-1].name
