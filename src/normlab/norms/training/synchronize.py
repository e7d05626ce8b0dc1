"""Synchronised batch normalization: statistics over the batches of all ranks of a process group."""

from __future__ import annotations

from torch import distributed, nn

from normlab.errors import UsageError
from normlab.norms.base import RunningNormalization


def synchronize(model: nn.Module, group: distributed.ProcessGroup | None = None) -> int:
    """Make every batch norm of the model pool its training statistics over the ranks of `group`.

    The counterpart of torch.nn.SyncBatchNorm.convert_sync_batchnorm, without new modules: only
    an attribute changes, so that types, state_dict and hooks stay. What is pooled, and how exactly,
    is said in functional/rank_pool.py.

    Args:
        model: a network with normlab's layers.
        group: the ranks that share a batch; all if None.

    Returns:
        The number of layers that pool from now on.

    Raises:
        UsageError: the process group was not set up, or a norm cannot pool (`torch-bn`).

    >>> synchronize(nn.Identity())
    Traceback (most recent call last):
    normlab.errors.UsageError: there are no ranks yet; call torch.distributed.init_process_group \
before synchronize
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        raise UsageError(
            "there are no ranks yet; call torch.distributed.init_process_group before synchronize"
        )
    layers = [m for m in model.modules() if isinstance(m, RunningNormalization)]
    alone = {type(layer).__name__ for layer in layers if not layer.pools_over_ranks}
    if alone:
        raise UsageError(
            f"{', '.join(sorted(alone))} cannot pool its statistics over ranks; use bn, or "
            "torch.nn.BatchNorm2d with torch.nn.SyncBatchNorm"
        )
    for layer in layers:
        layer.synchronized = True
        layer.process_group = group
    return len(layers)
