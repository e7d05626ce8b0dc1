"""Somebody's weights in our network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from normlab.errors import UsageError
from normlab.networks.libraries.weights import read_state
from normlab.networks.resnet.blocks import ProjectedShortcut
from normlab.networks.resnet.resnet import ResNet, resnet
from normlab.norms.spec import parse_norm
from normlab.serving.course.layout import FILTERS, Layout, Unit, natural, read_layout

NAMES = {"nn": "none", "inbuilt": "torch-bn", "torch_bn": "torch-bn"}
"""The course's names of normalizations where they are not ours."""


@dataclass(frozen=True)
class CourseNetwork:
    """A network in evaluation mode, and what was found in its file."""

    network: nn.Module
    norm: str
    layout: Layout
    tensors: int

    def __str__(self) -> str:
        """One line: what the weights were matched with."""
        found = self.layout
        biases = (
            ", convolutions with a bias" if any(u.bias is not None for u in found.units) else ""
        )
        return (
            f"{self.tensors} tensors: n = {found.n} ({6 * found.n + 2} layers), "
            f"r = {found.classes}, option {found.option}, {self.norm}, "
            f"norms shaped {found.shapes}{biases}"
        )


def load_course_network(path: Path, normalization: str, n: int | None = None) -> CourseNetwork:
    """Read weights of any version of the course's network, without running code.

    Args:
        path: safetensors, or what torch.save wrote of a state dict.
        normalization: bn, in, bin, ln, gn, nn or inbuilt, or any spec such as "gn:groups=4".
        n: the blocks of a stage, to be held against the file; None to take the file's word.

    Raises:
        UsageError: the file holds another network, another n, or parameters that the normalization
            does not have.
        UnknownNameError: there is no such normalization.
    """
    norm = NAMES.get(normalization, normalization)
    parse_norm(norm)
    state = read_state(path)
    if path.suffix == ".safetensors":  # which sorts by name: blocks.10 before blocks.2
        state = dict(sorted(state.items(), key=lambda named: natural(named[0])))
    layout = read_layout(state)
    if n is not None and n != layout.n:
        raise UsageError(
            f"{path} has 6n+1 = {len(layout.units)} convolutions, so n = {layout.n}, and n = {n} "
            f"was given; say --n {layout.n}"
        )
    network = resnet(layout.n, layout.classes, norm, shortcut=layout.option)
    slots = [_slot(network.stem, "conv", "norm")]
    for blocks in network.stages.children():
        for block in blocks.children():
            slots += [_slot(block, "conv1", "norm1"), _slot(block, "conv2", "norm2")]
    with torch.no_grad():
        for unit, (convolution, own) in zip(layout.units, slots, strict=True):
            _put(unit, convolution, own, normalization)
        for stage, unit in layout.shortcuts.items():
            _put_shortcut(network, stage, unit, norm)
        network.classifier.weight.copy_(layout.head[0])
        network.classifier.bias.copy_(layout.head[1])
    return CourseNetwork(network.eval(), norm, layout, len(state))


def _put_shortcut(network: ResNet, stage: int, unit: Unit, norm: str) -> None:
    """Some project in the first stage too, where ours is the identity, and some without a norm."""
    block = network.get_submodule(f"stages.{stage}.0")
    if not isinstance(block.shortcut, ProjectedShortcut):
        block.shortcut = ProjectedShortcut(FILTERS[0], FILTERS[0], 1, parse_norm(norm))
    shortcut = block.shortcut
    if not unit.norm:
        shortcut.norm = nn.Identity()
    _put(unit, *_slot(shortcut, "conv", "norm"), norm)


def _slot(module: nn.Module, convolution: str, norm: str) -> tuple[nn.Conv2d, nn.Module]:
    found = module.get_submodule(convolution)
    assert isinstance(found, nn.Conv2d)
    return found, module.get_submodule(norm)


def _put(unit: Unit, convolution: nn.Conv2d, norm: nn.Module, normalization: str) -> None:
    convolution.weight.copy_(unit.kernel)
    if unit.bias is not None:
        convolution.bias = nn.Parameter(unit.bias.clone())
    own = {
        name: value for name, value in norm.state_dict().items() if name != "num_batches_tracked"
    }
    given = _with_defaults(own, unit.norm)
    if own.keys() != given.keys():
        raise UsageError(
            f"the normalization {normalization} has {_names(own)}, and the weights have "
            f"{_names(unit.norm)}; say --normalization as it was trained"
        )
    for name, value in given.items():
        own[name].copy_(value.reshape(own[name].shape))


def _with_defaults(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A norm that was made without scale and shift has those that change nothing."""
    filled = dict(given)
    if {"weight", "bias"} <= own.keys() and not {"weight", "bias"} & given.keys() and given:
        filled["weight"] = torch.ones_like(own["weight"])
        filled["bias"] = torch.zeros_like(own["bias"])
    return filled


def _names(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(tensors) or "nothing of its own"
