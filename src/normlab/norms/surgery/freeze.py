"""Batch norms whose statistics stand still, for fine-tuning on small batches.

`freeze` makes every norm that keeps running statistics normalize by them and no longer update
them, also after a later `model.train()`: a hook before each forward puts the norm, and only the
norm, into evaluation mode. The hook is a module-level function, so frozen models can be copied and
pickled. It is not part of the state_dict: a new model that loads one must be frozen itself.

γ and β keep training; set their `requires_grad` to False to freeze those too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from normlab.errors import UsageError
from normlab.norms.surgery.recognize import is_running

_GUARDED = "_normlab_frozen_norms"


def freeze(model: nn.Module) -> list[str]:
    """Let running norms normalize by their running statistics from now on.

    Args:
        model: a network with norms of any library.

    Returns:
        The names of the norms that keep running statistics, and are frozen now.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    >>> freeze(network)
    ['1']
    """
    names = []
    for name, module in model.named_modules():
        if is_running(module):
            module.training = False
            if not is_held(module):
                module.register_forward_pre_hook(hold_evaluation)
            names.append(name)
    guard(model)
    return names


def guard(model: nn.Module) -> None:
    """Notice it when a tool replaces a frozen norm by one that is not.

    nn.SyncBatchNorm.convert_sync_batchnorm makes a layer anew that knows nothing of hooks or of
    `bn:frozen=true`, and would take statistics of the batch again. The model then refuses to train.
    """
    names = tuple(name for name, module in model.named_modules() if name and is_frozen(module))
    if not names:
        return
    vars(model)[_GUARDED] = names
    if all(hook is not refuse_thawed for hook in model._forward_pre_hooks.values()):
        model.register_forward_pre_hook(refuse_thawed)


def refuse_thawed(model: nn.Module, _: Any) -> None:
    """The hook of the whole model: whether what was frozen still is.

    Raises:
        UsageError: a SyncBatchNorm has taken the place of a frozen norm, and trains.
    """
    if torch.compiler.is_compiling():
        return
    for name in vars(model).get(_GUARDED, ()):
        module: nn.Module | None = model
        for part in name.split("."):
            module = module._modules.get(part) if module is not None else None
        if isinstance(module, nn.SyncBatchNorm) and module.training and not is_frozen(module):
            raise UsageError(
                f"{name} was frozen, and a SyncBatchNorm has taken its place, which is not: freeze "
                "after nn.SyncBatchNorm.convert_sync_batchnorm, or use normlab.synchronize(model)"
            )


def unfreeze(model: nn.Module) -> list[str]:
    """Undo `freeze`; the norms take the training flag of `model`.

    Args:
        model: a network that was frozen, or a copy of one.

    Returns:
        The names of the norms that were frozen.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    >>> _ = freeze(network)
    >>> unfreeze(network), network[1].training
    (['1'], True)
    """
    names = []
    for name, module in model.named_modules():
        if is_held(module):
            release(module)
            module.training = model.training
            names.append(name)
    vars(model).pop(_GUARDED, None)
    for key, hook in list(model._forward_pre_hooks.items()):
        if hook is refuse_thawed:
            del model._forward_pre_hooks[key]
    guard(model)  # of what was made frozen
    return names


def is_frozen(module: nn.Module) -> bool:
    """Whether this very module evaluates in training too: by `freeze`, or made so (`bn:frozen`)."""
    return is_held(module) or getattr(module, "frozen", False) is True


def is_held(module: nn.Module) -> bool:
    """Whether `freeze` holds this very module."""
    return any(hook is hold_evaluation for hook in module._forward_pre_hooks.values())


def hold_evaluation(module: nn.Module, _: Any) -> None:
    """The hook: whatever `train()` said, this norm evaluates."""
    if module.training:
        module.training = False


def release(module: nn.Module) -> None:
    """Take the hook from this very module."""
    for key, hook in list(module._forward_pre_hooks.items()):
        if hook is hold_evaluation:
            del module._forward_pre_hooks[key]
