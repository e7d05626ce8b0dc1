"""What training moves, all in one: network, optimizer, schedule, and how far they have come."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

from torch import nn

from normlab.networks.view import NetworkView
from normlab.records.run import RunSpec
from normlab.records.store import RunFolder
from normlab.train.averaging import AveragedWeights
from normlab.train.checkpoint import load_checkpoint, save_checkpoint
from normlab.train.fine_tuning import FineTuning
from normlab.train.fit import RunData
from normlab.train.optimizers import make_optimizer, make_schedule


class TrainingState:
    """The state of a run in training, as its checkpoint left it or new."""

    def __init__(
        self, spec: RunSpec, data: RunData, folder: RunFolder, network: nn.Module, view: NetworkView
    ) -> None:
        """Put the checkpoint of the folder into the network, if there is one.

        Raises:
            StorageError: the checkpoint is damaged, or another run's.
        """
        self.network = network
        self.tuning = FineTuning.of(spec, network, view)
        self.optimizer = make_optimizer(
            network, spec.optimizer, rate_shares=self.tuning.rate_shares
        )
        self.schedule = make_schedule(
            self.optimizer,
            spec.schedule,
            epochs=spec.epochs,
            steps_per_epoch=math.ceil(data.steps_per_epoch / spec.accumulate),
        )
        self.averaged = None if spec.ema is None else AveragedWeights(network, spec.ema)
        self.resumed = load_checkpoint(
            folder.checkpoint_path, network, self.optimizer, self.schedule, run=spec.id
        )
        if self.averaged is not None and self.resumed.averaged is not None:
            self.averaged.load(self.resumed.averaged)
        self.epoch = self.resumed.epoch
        """The last epoch that was finished."""
        self.so_far = self.resumed.so_far
        """What was trained of the next."""
        for parameter, gradient in zip(network.parameters(), self.so_far.gradients, strict=False):
            parameter.grad = gradient
        self.best_weights = self.resumed.best_weights
        self._steps = data.steps_per_epoch
        self._spec = spec
        self._folder = folder

    def as_evaluated(self) -> AbstractContextManager[None]:
        """Inside of it the network has the weights that are evaluated."""
        return nullcontext() if self.averaged is None else self.averaged.within(self.network)

    @property
    def can_be_stored(self) -> bool:
        """Whether the network has the weights of training, and no gradient waits for a step."""
        return self.so_far.whole and (self.averaged is None or self.network.training)

    def save(self) -> None:
        """Replace the checkpoint by the present state; the rows must be there already."""
        if self.so_far.steps == self._steps:
            self.so_far.gradients = [parameter.grad for parameter in self.network.parameters()]
        save_checkpoint(
            self._folder.checkpoint_path, self.epoch, self.network, self.optimizer, self.schedule,
            self.best_weights, self._folder.check_lease, run=self._spec.id,
            rows=self._folder.row_checksums(), so_far=self.so_far,
            averaged=None if self.averaged is None else self.averaged.state(),
        )  # fmt: skip
