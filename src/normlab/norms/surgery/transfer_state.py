"""Transfer of weights, settings and running statistics to the norm that takes another's place."""

from __future__ import annotations

import torch
from torch import nn

from normlab.errors import UsageError
from normlab.norms.base import Normalization, RunningNormalization
from normlab.norms.layers.baselines import NoNorm2d
from normlab.norms.spec import NormSpec
from normlab.norms.surgery.absorb import absorb_statistics
from normlab.norms.surgery.freeze import freeze, is_frozen, release
from normlab.norms.surgery.recognize import NormView, view
from normlab.norms.surgery.with_activation import ActivatedNorm

_HOOKS = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_is_full_backward_hook",
)
_STATE_HOOKS = (
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def make_like(
    old: nn.Module,
    seen: NormView,
    spec: NormSpec,
    given: frozenset[str],
    device: torch.device | None,
    *,
    absorbing: bool = False,
) -> tuple[nn.Module, tuple[str, ...], tuple[str, ...]]:
    """A norm of the spec in the place of `old`: the module, what was carried over, and notes.

    `given` are the options that the spec states; `device` is where a norm without tensors stands.
    `old` stays as it is; the new norm shares its parameters and buffers, unless it is `absorbing`
    the running statistics.
    """
    new = spec.make(seen.channels)
    if seen.layout != "nchw":
        if not isinstance(new, Normalization):
            if not isinstance(new, NoNorm2d):
                raise UsageError(
                    f"{type(new).__name__} takes (N, C, H, W) alone, and this layer others "
                    f"({seen.layout})"
                )
        else:
            new.layout = seen.layout
    transferred: list[str] = []
    notes: list[str] = []
    reference = next(iter([*old.parameters(), *old.buffers()]), None)
    if reference is not None:
        new.to(reference.device)
        new.to(next((t.dtype for t in old.parameters()), reference.dtype))
    elif device is not None:
        new.to(device)
    _transfer_weights(old, seen, new, given, transferred, notes)
    if isinstance(new, Normalization):
        same_kind = _kind_of(new) == seen.kind
        if same_kind:
            _transfer_settings(seen, new, given, transferred)
        if isinstance(new, RunningNormalization):
            _transfer_running(seen, new, same_kind, transferred, notes)
        elif absorbing and not given & {"weight", "bias"} and absorb_statistics(seen, new):
            transferred.append("running statistics, in weight and bias")
        elif seen.tracks:
            notes.append("no running statistics" + (" to freeze" if is_frozen(old) else ""))
        if not same_kind:
            notes.append("another function: other statistics")
    if isinstance(old, nn.SyncBatchNorm):
        notes.append("no longer synchronized across processes")
    if any(getattr(old, hooks, None) for hooks in _STATE_HOOKS):
        notes.append("hooks on the state_dict were dropped: they know the old layout")
    new.train(old.training)
    if seen.always_running and isinstance(new, RunningNormalization):
        freeze(new)
        notes.append("frozen, as it was")
    after = seen.after
    if after is None and seen.own_activation is not None and _kind_of(new) != seen.kind:
        after = (nn.Identity(), seen.own_activation())
        notes.append(f"its own activation became {seen.own_activation.__name__}")
    if after is not None:
        new = ActivatedNorm(new, *after)
        new.training = old.training
        transferred.append("activation")
    return new, tuple(transferred), tuple(notes)


def _transfer_weights(
    old: nn.Module,
    seen: NormView,
    new: nn.Module,
    given: frozenset[str],
    transferred: list[str],
    notes: list[str],
) -> None:
    own = dict(new.named_parameters())
    same_class = type(old) is type(new)
    known = {"weight": seen.weight, "bias": seen.bias, **seen.further}
    if same_class:  # also what no other norm has
        for name, buffer in old.named_buffers(recurse=False):
            if new._buffers.get(name) is not None:
                setattr(new, name, buffer)
    for name in own:
        if name in given:
            notes.append(f"{name} starts as the spec states")
            continue
        value = getattr(old, name, None) if same_class else known.get(name)
        if not isinstance(value, torch.Tensor) or value.shape != own[name].shape:
            notes.append(f"{name} starts anew: the old norm has none")
            continue
        if not isinstance(value, nn.Parameter):  # FrozenBatchNorm2d keeps buffers
            value = nn.Parameter(value, requires_grad=False)
        setattr(new, name, value)
        transferred.append(name)
    named = [name for name in ("weight", "bias") if getattr(seen, name) is not None]
    carried = {id(value) for value in new.parameters()}
    named += [
        name
        for name, value in old.named_parameters(recurse=False)
        if name not in named and id(value) not in carried
    ]
    notes += [f"{name} dropped: the new norm has none" for name in named if name not in own]


def _transfer_settings(
    seen: NormView, new: Normalization, given: frozenset[str], transferred: list[str]
) -> None:
    if "eps" not in given:
        if new.eps != seen.eps:
            transferred.append(f"eps={seen.eps:g}")
        new.eps = seen.eps
    if "momentum" not in given and isinstance(new, RunningNormalization):
        if new.momentum != seen.momentum:
            transferred.append(f"momentum={seen.momentum}")
        new.momentum = seen.momentum


def _transfer_running(
    seen: NormView,
    new: RunningNormalization,
    same_kind: bool,
    transferred: list[str],
    notes: list[str],
) -> None:
    if not same_kind:
        if new.track_running_stats:
            notes.append(
                "running statistics start at 0 and 1: train, or call precise_statistics, "
                "before evaluating"
            )
        return
    if seen.tracks and new.track_running_stats:
        new.running_mean, new.running_var = seen.running_mean, seen.running_var
        if seen.num_batches_tracked is not None:
            new.num_batches_tracked = seen.num_batches_tracked
        transferred.append("running statistics")
    elif seen.tracks:
        notes.append("running statistics dropped: the new norm keeps none")
    elif new.needs_running:
        notes.append("running statistics start at 0 and 1: the old norm has none, it needs them")
    elif new.track_running_stats:
        new.track_running_stats = False
        new.running_mean = new.running_var = new.num_batches_tracked = None
        notes.append("keeps no running statistics, as it did")


def move_hooks(old: nn.Module, new: nn.Module) -> None:
    """Move the dictionaries themselves, so that the handles of the hooks still remove them."""
    norm = new.norm if isinstance(new, ActivatedNorm) else new
    assert isinstance(norm, nn.Module)
    held = is_frozen(old) or is_frozen(norm)
    release(old)
    for name in _HOOKS:
        setattr(new, name, getattr(old, name))
    if held:
        freeze(norm)


def _kind_of(new: nn.Module) -> str | None:
    seen = view(new)
    return None if seen is None else seen.kind
