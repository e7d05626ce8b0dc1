"""Give a network of any library another normalization, in place.

    conversion = convert_norms(model, "gn:groups=8")
    print(conversion)          # one row a layer: what it was, what it is, what was carried over

Every known normalization (see recognize.py) is replaced by the named one, under its old attribute
name and place. Those of signals, volumes, tokens and images with channels last are, too: the new
norm takes the same tensors, and its planes are the channels of a sample (functional/layout.py).
What means the same is carried over: γ and β always, as the same Parameter objects, so that an
optimizer made before still trains them; running statistics, ε and momentum between norms that take
their statistics in the same way, unless the spec states them. So a conversion within a scheme (a
framework's batch norm → "bn" or "bin", SyncBatchNorm → "torch-bn", a framework's group norm → "gn"
of as many groups) does not change the function.

Everything is made before anything is replaced: an error leaves the model as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from normlab.errors import UsageError
from normlab.norms.spec import NormSpec, parse_norm
from normlab.norms.surgery.freeze import guard
from normlab.norms.surgery.recipe import Recipe, note_recipe
from normlab.norms.surgery.recognize import view, why_not
from normlab.norms.surgery.tables import table
from normlab.norms.surgery.transfer_state import make_like, move_hooks
from normlab.norms.surgery.with_activation import ActivatedNorm

BESIDE = "it stands beside a normalization and is none: it scales by shares of the response"
INSIDE = "torch's transformer layer computes its norms itself in evaluation, whatever stands there"


@dataclass(frozen=True)
class ConvertedLayer:
    """One row of the report."""

    names: tuple[str, ...]
    """Where the layer stands; several names where several places share it."""
    before: str
    after: str
    transferred: tuple[str, ...]
    notes: tuple[str, ...]
    """What could not be carried over or starts anew, and why."""


@dataclass(frozen=True)
class Conversion:
    """What `convert_norms` did. `str()` gives the table."""

    model: nn.Module
    """The converted model: the one given, unless that was itself a normalization."""
    spec: str
    layers: tuple[ConvertedLayer, ...]
    left: tuple[tuple[str, str], ...]
    """(name, reason) of everything that is called a norm and was left as it is."""
    chosen: frozenset[str] = frozenset()
    """Those of `left` that `where` left out, or that stand beside a normalization (grn)."""
    asked: str = ""
    """The spec as it was given: an option that it states at its default is still stated."""

    @property
    def missed(self) -> tuple[tuple[str, str], ...]:
        """Those of `left` that nobody chose to leave: with them the network has two norms."""
        return tuple((name, reason) for name, reason in self.left if name not in self.chosen)

    @property
    def recipe(self) -> Recipe:
        """What `restore_norms` builds the model again by."""
        names = [name for layer in self.layers for name in layer.names]
        return {"norm": self.asked or self.spec, "layers": names}

    def __str__(self) -> str:
        """One row a layer, then what was left."""
        rows = [
            (
                ", ".join(name or "(the model)" for name in layer.names),
                f"{layer.before} → {layer.after}",
                ", ".join(layer.transferred) or "–",
                "; ".join(layer.notes) or "–",
            )
            for layer in self.layers
        ]
        text = [f"{len(rows)} normalizations converted to {self.spec}"]
        if rows:
            text.append(table([("layer", "conversion", "carried over", "notes"), *rows]))
        text += [f"left: {name}: {reason}" for name, reason in self.left]
        return "\n".join(text)


def convert_norms(
    model: nn.Module,
    norm: str,
    *,
    where: Callable[[str, nn.Module], bool] = lambda name, module: True,
    absorb_statistics: bool = False,
) -> Conversion:
    """Replace the normalizations of `model` by `norm`, in place, and report every layer.

    Args:
        model: any network; a module that is itself a normalization cannot be replaced in place,
            so take `conversion.model`.
        norm: spec string, e.g. "gn:groups=8".
        where: called with the name and the module; False leaves that layer, everywhere
            if it stands in several places.
        absorb_statistics: where a norm over groups of channels (gn, ln) takes the place of a
            trained batch norm, its γ and β are not those of the batch norm but those by which it is
            the same function of channels that have the running statistics: the network begins
            near what it had learned. It has parameters of its own then; see `surgery.absorb`.

    Returns:
        The converted model, a row for every layer that was replaced, and what was left as it was.
        Its `recipe` is noted in the configuration of a model of the Hugging Face libraries, so that
        it is saved with the model (normlab.norms.surgery.restore).

    Raises:
        UsageError: the norm cannot be made for some layer, or the model is compiled by torch.jit.
            The model is then unchanged.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    >>> conversion = convert_norms(network, "gn:groups=4")
    >>> network[1]
    GroupNorm2d(4, 8, eps=1e-05, affine=True)
    >>> conversion.layers[0].transferred
    ('weight', 'bias')
    """
    conversion = replace_norms(model, norm, where, absorbing=absorb_statistics)
    note_recipe(model, conversion.recipe)
    return conversion


def replace_norms(
    model: nn.Module,
    norm: str,
    where: Callable[[str, nn.Module], bool],
    *,
    absorbing: bool = False,
) -> Conversion:
    """What `convert_norms` does, without a note of it."""
    if isinstance(model, torch.jit.ScriptModule):
        raise UsageError(
            "the model is compiled by torch.jit (script or trace), which fixes its layers; convert "
            "the model that it was made of, and compile it after that"
        )
    spec = parse_norm(norm)
    given = _given(norm)
    names: dict[nn.Module, list[str]] = {}
    left: list[tuple[str, str]] = []
    _find(model, "", names, left, [])
    chosen = set()
    if spec.info.code != "grn":
        for module in [m for m in names if (seen := view(m)) is not None and seen.kind == "grn"]:
            left += [(place, BESIDE) for place in names[module]]
            chosen |= set(names.pop(module))
    for module, places in list(names.items()):
        if not all(where(place, module) for place in places):
            left += [(place, "left out by where=…") for place in places]
            chosen |= set(places)
            del names[module]
    made: dict[nn.Module, nn.Module] = {}
    layers = []
    device = next((p.device for p in model.parameters()), None)
    for old, places in names.items():
        seen = view(old)
        assert seen is not None
        try:
            made[old], transferred, notes = make_like(
                old, seen, spec, given, device, absorbing=absorbing
            )
        except UsageError as error:
            raise UsageError(
                f"layer {places[0] or '(the model)'} with {seen.channels} channels cannot become "
                f"{spec}: {error}; or leave the layer out with where=…; the model is unchanged"
            ) from error
        notes = (*_shape_of(spec, made[old]), *notes)
        after = _describe(made[old])
        layers.append(ConvertedLayer(tuple(places), type(old).__name__, after, transferred, notes))
    for old, new in made.items():
        move_hooks(old, new)
    for parent in list(model.modules()):
        for key, child in parent._modules.items():
            if child in made:
                parent._modules[key] = made[child]
    converted = made.get(model, model)
    guard(converted)
    return Conversion(converted, str(spec), tuple(layers), tuple(left), frozenset(chosen), norm)


def _find(
    module: nn.Module,
    name: str,
    found: dict[nn.Module, list[str]],
    left: list[tuple[str, str]],
    above: list[nn.Module],
) -> None:
    """Walk the tree in order, every name of a shared module; not into what will be replaced."""
    if module in above:  # a module that contains itself
        return
    if view(module) is not None:
        found.setdefault(module, []).append(name)
        return
    reason = why_not(module)
    if reason is not None:
        left.append((name, reason))
    computes_itself = isinstance(module, (nn.TransformerEncoderLayer, nn.TransformerEncoder))
    for key, child in module._modules.items():
        if child is not None and computes_itself and view(child) is not None:
            left.append((f"{name}.{key}" if name else key, INSIDE))
        elif child is not None:
            _find(child, f"{name}.{key}" if name else key, found, left, [*above, module])


def _given(norm: str) -> frozenset[str]:
    """The options that the spec string states, also those it states at their default."""
    options = norm.partition(":")[2].split(",")
    return frozenset(option.partition("=")[0].strip() for option in options)


def _shape_of(spec: NormSpec, new: nn.Module) -> Iterator[str]:
    """What the spec leaves to the layer: its groups, and which tensors it takes."""
    inner = new.norm if isinstance(new, ActivatedNorm) else new
    groups = getattr(inner, "num_groups", None)
    if groups is not None and ("channels" in str(spec) or "~" in str(spec)):
        yield f"{groups} groups"
    if getattr(inner, "layout", "nchw") == "channels last":
        yield "channels last"


def _describe(new: nn.Module) -> str:
    inner = new.norm if isinstance(new, ActivatedNorm) else new
    return type(inner).__name__ + (" + activation" if inner is not new else "")
