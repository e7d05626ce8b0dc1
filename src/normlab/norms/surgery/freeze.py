"""Batch norms whose statistics stand still, for fine-tuning on small batches.

`freeze` makes every norm that keeps running statistics normalize by them and no longer update
them, also after a later `model.train()`: a hook before each forward puts the norm, and only the
norm, into evaluation mode. The hook is a module-level function, so frozen models can be copied and
pickled. It is not part of the state_dict: a new model that loads one must be frozen itself.

γ and β keep training; set their `requires_grad` to False to freeze those too.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from normlab.norms.surgery.recognize import is_running


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
    return names


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
