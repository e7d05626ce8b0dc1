"""Which module's output a norm reads, and whether anybody else reads it."""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from torch import fx, nn

from normlab.norms.layers.baselines import NoNorm2d
from normlab.norms.surgery.recognize import view


@dataclass(frozen=True)
class Producer:
    """The module right before a norm, or the reason why there is none."""

    module: nn.Module | None
    reason: str | None


def find_producers(model: nn.Module) -> dict[nn.Module, Producer]:
    """For every norm whose calls can be known: the module that feeds it and nothing else.

    Args:
        model: a network of any library.

    Returns:
        By norm: its producer, or the reason why it has none that is its alone.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    >>> find_producers(network)[network[1]].module is network[0]
    True
    """
    found: dict[nn.Module, Producer] = {}
    _search(model, found)
    places = Counter(module for _, module in model.named_modules(remove_duplicate=False))
    for norm, producer in found.items():
        before = producer.module
        if places[norm] > 1:
            found[norm] = Producer(None, "it stands in several places of the model")
        elif before is not None and places[before] > 1:
            found[norm] = Producer(
                None, "the module before it stands in several places of the model"
            )
    return found


class _Tracer(fx.Tracer):
    """Looks into everything but torch's own layers, convolutions and norms of any library."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, NoNorm2d))
        return known or view(m) is not None or super().is_leaf_module(m, module_qualified_name)


def _search(module: nn.Module, found: dict[nn.Module, Producer]) -> None:
    if view(module) is not None or not any(view(m) is not None for m in module.modules()):
        return
    try:
        graphs = _graphs(module)
    except Exception:  # control flow that depends on data, in any of its many forms
        if type(module).forward is nn.Sequential.forward:
            _search_sequential(module, found)
        for child in module.children():
            _search(child, found)
        return
    variants = [_search_graph(module, graph) for graph in graphs]
    for norm in dict.fromkeys(norm for variant in variants for norm in variant):
        first, *others = (variant.get(norm) for variant in variants)
        if first is None or any(other != first for other in others):
            first = Producer(None, "what stands before it depends on the arguments of forward")
        found[norm] = first


def _graphs(module: nn.Module) -> list[fx.Graph]:
    """The traced forward with all arguments given, and with the defaults of those that have one."""
    parameters = inspect.signature(module.forward).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    graphs = [_Tracer().trace(module)]
    if defaults:
        graphs.append(_Tracer().trace(module, concrete_args=defaults))
    return graphs


def _search_sequential(module: nn.Module, found: dict[nn.Module, Producer]) -> None:
    children = list(module._modules.values())
    for before, norm in pairwise(children):
        if before is not None and norm is not None and view(norm) is not None:
            found[norm] = Producer(before, None)


def _search_graph(module: nn.Module, graph: fx.Graph) -> dict[nn.Module, Producer]:
    found: dict[nn.Module, Producer] = {}
    calls: Counter[nn.Module] = Counter()
    called: dict[fx.Node, nn.Module] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            called[node] = module.get_submodule(str(node.target))
            calls[called[node]] += 1
    attributes = {str(node.target) for node in graph.nodes if node.op == "get_attr"}
    for node, norm in called.items():
        if view(norm) is None:
            continue
        x = node.args[0] if node.args else node.kwargs.get("x", node.kwargs.get("input"))
        before = called.get(x) if isinstance(x, fx.Node) else None
        reason = None
        if calls[norm] > 1:
            reason = "it is called several times"
        elif before is None:
            reason = "no convolution stands right before it"
        elif calls[before] > 1:
            reason = f"{_target(x)} before it is called several times"
        elif isinstance(x, fx.Node) and len(x.users) > 1:
            reason = f"the output of {_target(x)} is used elsewhere too"
        elif any(name.rpartition(".")[0] == _target(x) for name in attributes):
            reason = f"the weights of {_target(x)} are used elsewhere too"
        found[norm] = Producer(None if reason else before, reason)
    return found


def _target(node: object) -> str:
    return str(node.target) if isinstance(node, fx.Node) else ""
