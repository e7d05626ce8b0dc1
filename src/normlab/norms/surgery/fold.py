"""Fold norms that are a fixed affine map in evaluation into the convolution before them.

    norm(conv(x)) = s·(W∗x + b − m) + β = (s·W)∗x + s·(b − m) + β,   s = γ/√(v + ε)

with the running statistics (m, v). So batch norms disappear, and BIN where its gate is 1 for every
channel. Norms whose statistics depend on the image stay, and the report says so.

A convolution is "before" a norm where the traced graph (torch.fx) passes its output to the norm
and to nothing else. What cannot be traced is searched child by child; an nn.Sequential needs no
tracing: the order of its children is known. A forward with optional arguments is traced with and
without them. Not seen are ways into the traced part other than its `forward`, such as
`self.block.conv(x)` in the forward of a parent that cannot be traced.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from normlab.norms.base import Normalization
from normlab.norms.layers.baselines import NoNorm2d
from normlab.norms.layers.batch_instance import BatchInstanceNorm2d
from normlab.norms.surgery.freeze import hold_evaluation, is_frozen
from normlab.norms.surgery.producers import Producer, find_producers
from normlab.norms.surgery.recognize import NormView, view
from normlab.norms.surgery.tables import table
from normlab.norms.surgery.with_activation import ActivatedNorm

Convolution = nn.Conv2d | nn.ConvTranspose2d


@dataclass(frozen=True)
class Folding:
    """What `fold` did. `str()` gives the table."""

    model: nn.Module
    folded: tuple[tuple[str, str], ...]
    """(norm, convolution) by name."""
    kept: tuple[tuple[str, str], ...]
    """(norm, reason) of the norms that stay."""

    def __str__(self) -> str:
        """The table, with a row for every norm."""
        rows = [(norm, f"folded into {conv}") for norm, conv in self.folded]
        rows += [(norm, f"kept: {reason}") for norm, reason in self.kept]
        head = f"{len(self.folded)} of {len(rows)} normalizations folded"
        return f"{head}\n{table(rows)}" if rows else head


@torch.no_grad()
def fold(model: nn.Module) -> Folding:
    """Fold every norm that can be into its convolution, in place. Call `model.eval()` before.

    The convolution gets a bias if it had none; the norm's place is taken by a module without
    normalization that still adds the residual and applies the activation. Models that train on
    are better left unfolded.

    Args:
        model: a network in evaluation mode, of any library.

    Returns:
        Which norms were folded into which convolution, and which stay, and why.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)).eval()
    >>> fold(network).folded
    (('1', '0'),)
    >>> network
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
      (1): Identity()
    )
    """
    names = {module: name for name, module in model.named_modules()}
    users = _users_of_parameters(model)
    producers = find_producers(model)
    plan: list[tuple[nn.Module, NormView, Convolution, Tensor, Tensor]] = []
    kept: list[tuple[str, str]] = []
    for norm, name in names.items():
        seen = view(norm)
        if seen is None:
            continue
        reason = _norm_stays(norm, seen)
        found = producers.get(norm, Producer(None, "no convolution stands right before it"))
        conv = found.module
        if reason is None:
            reason = found.reason
        if reason is None and conv is not None:
            reason = _convolution_stays(conv, names[conv], seen, users)
        if reason is not None:
            kept.append((name or "(the model)", reason))
            continue
        assert isinstance(conv, (nn.Conv2d, nn.ConvTranspose2d))
        plan.append((norm, seen, conv, *_folded_weights(conv, seen)))
    for norm, seen, conv, weight, bias in plan:
        conv.weight.copy_(weight)
        if conv.bias is None:
            trains = conv.weight.requires_grad
            conv.bias = nn.Parameter(bias, requires_grad=trains)
        else:
            conv.bias.copy_(bias)
        _replace(model, norm, _without_norm(norm, seen))
    folded = tuple((names[norm], names[conv]) for norm, _, conv, _, _ in plan)
    return Folding(model, folded, tuple(kept))


def _norm_stays(norm: nn.Module, seen: NormView) -> str | None:
    """Why this norm is no fixed affine map."""
    if isinstance(norm, BatchInstanceNorm2d):
        open_gates = int((norm.blend != 1).sum())
        if open_gates:
            return (
                f"the gate is not 1 in {open_gates} of {seen.channels} channels, where its "
                "statistics depend on the image"
            )
    elif seen.kind not in ("batch", "instance"):
        return "its statistics depend on the image"
    if not seen.tracks:
        depends = "batch" if seen.kind == "batch" else "image"
        return f"its statistics depend on the {depends}: it keeps no running ones"
    if norm.training and not (seen.always_running or is_frozen(norm)):
        return "it is in training mode; call model.eval() first"
    if _has_hooks(norm):
        return "it has forward hooks; remove them first"
    return None


def _convolution_stays(
    conv: nn.Module, name: str, seen: NormView, users: dict[int, int]
) -> str | None:
    """Why a norm cannot be folded into this module."""
    kind = type(conv).__name__
    if not isinstance(conv, (nn.Conv2d, nn.ConvTranspose2d)):
        return f"what stands before it, {name}, is a {kind} and no convolution"
    if parametrize.is_parametrized(conv):
        return f"the weight of {name} is computed by a parametrization; remove that first"
    if _has_hooks(conv):
        return f"{name} has forward hooks; remove them first"
    plain = (nn.Conv2d, nn.ConvTranspose2d)
    if (
        "forward" in vars(conv)
        or type(conv).forward not in [base.forward for base in plain]
        or (isinstance(conv, nn.Conv2d) and type(conv)._conv_forward is not nn.Conv2d._conv_forward)
    ):
        return f"{name} is a {kind} with a forward of its own"
    if any(users[id(parameter)] > 1 for parameter in conv.parameters()):
        return f"the weights of {name} are shared with another module"
    if conv.out_channels != seen.channels:
        return f"{name} has {conv.out_channels} channels, the norm {seen.channels}"
    return None


def _folded_weights(conv: Convolution, seen: NormView) -> tuple[Tensor, Tensor]:
    """The convolution's new weight and bias, computed in float64 and rounded once."""
    assert seen.running_mean is not None
    assert seen.running_var is not None
    scale = (seen.running_var.double() + seen.eps).rsqrt()
    if seen.weight is not None:
        scale = scale * seen.weight.double()
    bias = -seen.running_mean.double()
    if conv.bias is not None:
        bias = bias + conv.bias.double()
    bias = bias * scale
    if seen.bias is not None:
        bias = bias + seen.bias.double()
    weight = conv.weight.double()
    if isinstance(conv, nn.ConvTranspose2d):  # (in, out/groups, kh, kw), groups along the inputs
        grouped = weight.unflatten(0, (conv.groups, -1))
        by_group = scale.reshape(conv.groups, 1, -1, 1, 1)
        weight = (grouped * by_group).flatten(0, 1)
    else:
        weight = weight * scale[:, None, None, None]
    return weight.to(conv.weight.dtype), bias.to(conv.weight.dtype)


def _without_norm(norm: nn.Module, seen: NormView) -> nn.Module:
    new: nn.Module
    if seen.after is not None:
        new = ActivatedNorm(NoNorm2d(), *seen.after)
    elif isinstance(norm, Normalization):
        new = NoNorm2d()
    else:
        new = nn.Identity()
    new.training = norm.training
    return new


def _replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in list(model.modules()):
        for key, child in parent._modules.items():
            if child is old:
                parent._modules[key] = new


def _has_hooks(module: nn.Module) -> bool:
    before = [h for h in module._forward_pre_hooks.values() if h is not hold_evaluation]
    return bool(before or module._forward_hooks)


def _users_of_parameters(model: nn.Module) -> dict[int, int]:
    """How many modules hold each parameter."""
    count: dict[int, int] = {}
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                count[id(parameter)] = count.get(id(parameter), 0) + 1
    return count
