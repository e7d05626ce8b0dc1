"""What a state dict of somebody's 6n+2 network holds, found by structure rather than by names.

The network of the course (He et al. 2015, section 4.2) has 6n+1 convolutions of 3×3 in three
stages, shortcuts that are padded (option A) or projected by 1×1 convolutions (option B), a norm
after every convolution, and one linear layer. Whatever its author called them, shapes tell
convolutions, norms and the linear layer apart, and the filters of a convolution its stage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from torch import Tensor

from normlab.errors import UsageError

FILTERS = (16, 32, 64)
ROLES = {
    "running_mean": ("running_mean", "moving_mean", "mov_mean", "mean", "mu"),
    "running_var": ("running_var", "moving_var", "mov_var", "variance", "var", "sigma"),
    "gate": ("gate", "rho"),
    "weight": ("weight", "gamma", "scale"),
    "bias": ("bias", "beta", "shift"),
}
"""Our name of a norm's tensor, and what others call it; of several in a name the first counts."""
LETTERS = {"g": "weight", "w": "weight", "b": "bias", "m": "running_mean", "v": "running_var"}
IN_ORDER = {
    2: ("weight", "bias"),
    3: ("weight", "bias", "gate"),
    4: ("weight", "bias", "running_mean", "running_var"),
    5: ("gate", "weight", "bias", "running_mean", "running_var"),
}
"""What tensors without a telling name are taken for, by how many a norm has."""


@dataclass
class Part:
    """A module: its path in the other network, and its tensors by the last part of their names."""

    path: str
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def kernel(self) -> Tensor | None:
        """The weights of a convolution: four axes, of which the last are not all 1×1 of a norm."""
        found = [t for t in self.tensors.values() if t.ndim == 4 and t.shape[0] != 1]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Unit:
    """A convolution and the norm behind it, if there is one."""

    kernel: Tensor
    bias: Tensor | None
    norm: Mapping[str, Tensor]
    """Our names → tensors of shape (C,)."""


@dataclass(frozen=True)
class Layout:
    """The course's network with somebody's numbers."""

    n: int
    classes: int
    units: tuple[Unit, ...]
    """The 6n+1 convolutions of 3×3, in the order in which they are called."""
    shortcuts: Mapping[int, Unit]
    """Stage → the projection of its first block."""
    head: tuple[Tensor, Tensor]
    shapes: str
    """How the norms' tensors are shaped, as in "(1, C, 1, 1)"."""

    @property
    def option(self) -> str:
        """A or B, as the paper calls the shortcuts."""
        return "B" if any(stage > 0 for stage in self.shortcuts) else "A"


def read_layout(state: Mapping[str, Tensor]) -> Layout:
    """Find the course's network in a state dict.

    Raises:
        UsageError: it is another network; what does not fit is named.
    """
    parts = _parts(state)
    convolutions = [part for part in parts if part.kernel is not None]
    heads = [p for p in parts if any(t.ndim == 2 for t in p.tensors.values())]
    norms = [p for p in parts if p not in convolutions and p not in heads]
    spatial = [p for p in convolutions if _shape(p)[2:] == (3, 3)]
    projections = [p for p in convolutions if _shape(p)[2:] == (1, 1)]
    others = [p for p in convolutions if _shape(p)[2:] not in ((3, 3), (1, 1))]
    if others:
        raise _other(f"{others[0].path} is a convolution of {_shape(others[0])[2:]}, not of 3×3")
    if len(heads) != 1:
        raise _other(f"it has {len(heads)} linear layers, not one")
    n, rest = divmod(len(spatial) - 1, 6)
    if n < 1 or rest:
        raise _other(f"it has {len(spatial)} convolutions of 3×3, which is not 6n+1")
    spatial = _in_order_of_calls(spatial, n)
    at = {stage: part for part in projections if (stage := _stage(_shape(part)[0])) is not None}
    if len(at) != len(projections):
        raise _other("a stage has more than one projecting shortcut")
    paired = _pair(spatial, at, norms, n, parts)
    units = tuple(_unit(part, paired.get(part.path)) for part in spatial)
    shortcuts = {stage: _unit(part, paired.get(part.path)) for stage, part in at.items()}
    return Layout(n, *_head(heads[0], units), units, shortcuts, _linear(heads[0]), _shapes(norms))


def _parts(state: Mapping[str, Tensor]) -> list[Part]:
    """The modules in the order in which the file has them; counters of batches are left out."""
    found: dict[str, Part] = {}
    for name, value in state.items():
        path, _, last = name.rpartition(".")
        if value.numel() > 1 or value.ndim > 0:
            found.setdefault(path, Part(path)).tensors[last] = value
    return [part for part in found.values() if part.tensors]


def _in_order_of_calls(parts: Sequence[Part], n: int) -> list[Part]:
    """The stem, then stage by stage; in a stage as the file has them, or by their names."""
    stems = [part for part in parts if _shape(part)[1] == 3]
    if len(stems) != 1 or _shape(stems[0])[0] != FILTERS[0]:
        raise _other(f"no single convolution takes 3 channels to {FILTERS[0]} filters")
    ordered = [stems[0]]
    before = FILTERS[0]
    for filters in FILTERS:
        stage = [p for p in parts if _shape(p)[0] == filters and p is not stems[0]]
        if len(stage) != 2 * n:
            raise _other(
                f"{len(stage)} convolutions have {filters} filters, and with n = {n} it would be "
                f"{2 * n}"
            )
        entering = [p for p in stage if _shape(p)[1] == before]
        if before != filters and len(entering) != 1:
            raise _other(f"{len(entering)} convolutions take {before} channels to {filters}")
        if before != filters and stage[0] is not entering[0]:
            stage = sorted(stage, key=lambda part: natural(part.path))
        if before != filters and stage[0] is not entering[0]:
            raise _other(f"{entering[0].path} enters its stage but does not come first")
        ordered += stage
        before = filters
    return ordered


def _pair(
    spatial: Sequence[Part], at: Mapping[int, Part], norms: Sequence[Part], n: int,
    parts: Sequence[Part],
) -> dict[str, Part]:  # fmt: skip
    """Path of a convolution → its norm: shortcuts take theirs first, the others in their order."""
    if not norms:
        return {}
    place = {part.path: number for number, part in enumerate(parts)}
    paired: dict[str, Part] = {}
    for stage, filters in enumerate(FILTERS):
        own = [norm for norm in norms if _width(norm) == filters]
        calls = [part for part in spatial if _shape(part)[0] == filters]
        if stage in at and len(own) == len(calls) + 1:
            chosen = _of_shortcut(at[stage], own, place)
            paired[at[stage].path] = chosen
            own = [norm for norm in own if norm is not chosen]
        if len(own) != len(calls):
            raise _other(
                f"{len(own)} norms have {filters} channels, and {len(calls)} convolutions of 3×3"
            )
        if stage == 0:
            first = _of_stem(calls[0], own, place)
            own = [first, *(norm for norm in own if norm is not first)]
        paired.update({part.path: norm for part, norm in zip(calls, own, strict=True)})
    wide = [norm for norm in norms if _width(norm) not in FILTERS]
    if wide:
        raise _other(f"{wide[0].path} is no norm of 16, 32 or 64 channels")
    return paired


def _of_shortcut(projection: Part, norms: Sequence[Part], place: Mapping[str, int]) -> Part:
    """The norm that stands nearest: in the same container, then next in the file, then by name."""

    def nearness(norm: Part) -> tuple[int, bool, float]:
        follows = place[norm.path] == place[projection.path] + 1
        alike = SequenceMatcher(None, norm.path, projection.path).ratio()
        return _common(norm.path, projection.path), follows, alike

    return max(norms, key=nearness)


def _of_stem(stem: Part, norms: Sequence[Part], place: Mapping[str, int]) -> Part:
    """The norm in the stem's container, or at least as deep; else the first in the file."""

    def nearness(norm: Part) -> tuple[int, bool, int]:
        as_deep = norm.path.count(".") == stem.path.count(".")
        return _common(norm.path, stem.path), as_deep, -place[norm.path]

    return max(norms, key=nearness)


def _unit(part: Part, norm: Part | None) -> Unit:
    kernel = part.kernel
    assert kernel is not None
    biases = [t for t in part.tensors.values() if t.ndim == 1 and len(t) == len(kernel)]
    return Unit(kernel, biases[0] if biases else None, {} if norm is None else _roles(norm))


def _roles(norm: Part) -> dict[str, Tensor]:
    """Our names of a norm's tensors, by theirs; by their order where those say nothing."""
    found: dict[str, Tensor] = {}
    for name, value in norm.tensors.items():
        role = LETTERS.get(name) or next(
            (ours for ours, names in ROLES.items() if any(x in name.lower() for x in names)), None
        )
        if role is None or role in found:
            names = IN_ORDER.get(len(norm.tensors))
            if names is None:
                raise _other(f"{norm.path} has {len(norm.tensors)} tensors, which no norm has")
            return {
                ours: tensor.flatten()
                for ours, tensor in zip(names, norm.tensors.values(), strict=True)
            }
        found[role] = value.flatten()
    return found


def _head(part: Part, units: Sequence[Unit]) -> tuple[int]:
    weight, bias = _linear(part)
    if weight.shape[1] != len(units[-1].kernel) or len(bias) != len(weight):
        raise _other(f"its linear layer is {tuple(weight.shape)}, not (classes, {FILTERS[-1]})")
    return (len(weight),)


def _linear(part: Part) -> tuple[Tensor, Tensor]:
    weight = next(t for t in part.tensors.values() if t.ndim == 2)
    bias = next((t for t in part.tensors.values() if t.ndim == 1), weight.new_zeros(len(weight)))
    return weight, bias


def _width(norm: Part) -> int:
    """The channels of a norm whose every tensor has one value a channel; 0 for any other module."""
    sizes = {tensor.numel() for tensor in norm.tensors.values()}
    per_channel = all(max(tensor.shape) == tensor.numel() for tensor in norm.tensors.values())
    return sizes.pop() if len(sizes) == 1 and per_channel else 0


def _shapes(norms: Sequence[Part]) -> str:
    if not norms:
        return "no norms"
    shape = next(iter(norms[0].tensors.values())).shape
    sizes = ["C" if size > 1 else "1" for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _shape(part: Part) -> tuple[int, ...]:
    kernel = part.kernel
    assert kernel is not None
    return tuple(kernel.shape)


def _stage(filters: int) -> int | None:
    return FILTERS.index(filters) if filters in FILTERS else None


def _common(first: str, second: str) -> int:
    """How many modules two paths have in common from the top on."""
    count = 0
    for ours, theirs in zip(first.split(".")[:-1], second.split(".")[:-1], strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def natural(path: str) -> list[tuple[int, str]]:
    """A key by which conv2 comes before conv10.

    >>> sorted(["layer2.10.a", "layer2.9.a"], key=natural)
    ['layer2.9.a', 'layer2.10.a']
    """
    pieces = re.split(r"(\d+)", path)
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces]


def _other(reason: str) -> UsageError:
    return UsageError(f"this is not the course's network of 6n+2 layers: {reason}")
