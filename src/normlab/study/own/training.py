"""What a training of somebody's own is given and gives back, and one run of it."""

from __future__ import annotations

import hashlib
import inspect
import math
import random
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from normlab.errors import InterruptedRunError, NormlabError, StorageError, UsageError
from normlab.networks.libraries.factory import with_norm
from normlab.norms.spec import parse_norm
from normlab.randomness import numpy_stream, stream_seed, torch_stream
from normlab.records.environment import describe_environment
from normlab.records.network import OWN_METRIC
from normlab.records.run import Outcome, RunSpec
from normlab.records.store import RunFolder

Metrics = Mapping[str, float] | float


@dataclass(frozen=True)
class Block:
    """What all arms of a block share, for a training to draw its data and numbers from.

    The global generators of Python, NumPy and torch are seeded by the block before `train` is
    called, alike for every arm, so that a training that draws from them alone is paired already.
    """

    number: int
    """Counted from 1."""
    seed: int
    """63 bits, the same for all arms of the block, another one in each block."""
    study_seed: int = 0

    def generator(self, epoch: int = 0) -> torch.Generator:
        """A generator of torch on the CPU, e.g. for the order of the images of an epoch."""
        return torch_stream(self.study_seed, self.number - 1, "order", epoch)

    def numpy(self, epoch: int = 0) -> np.random.Generator:
        """A generator of NumPy, e.g. for the split into training and test images."""
        return numpy_stream(self.study_seed, self.number - 1, "split", epoch)


Train = Callable[[nn.Module, Block], Metrics]
"""train(network, block) trains the network and gives its figures on held-out data: the metric
alone, or several by name. NaN: it diverged."""
MakeNetwork = Callable[[], nn.Module]


@dataclass(frozen=True)
class OwnTraining:
    """The user's two functions, and what normlab does to the network between them."""

    train: Train
    make_network: MakeNetwork
    partial: bool = False
    """Whether norms that cannot be converted may stay."""

    def code(self) -> str:
        """The first digits of SHA-256 over the source of both functions, as far as there is any."""
        found = []
        for function in (self.train, self.make_network):
            try:
                found.append(inspect.getsource(function))
            except (OSError, TypeError):
                found.append(name_of(function))
        return hashlib.sha256("\n".join(found).encode()).hexdigest()[:12]

    def network(self, spec: RunSpec) -> nn.Module:
        """The network of a run: made by the user's function, then given the arm's norm.

        Raises:
            UsageError: the function gives no module; a norm that cannot take the place of others.
        """
        with seeded(spec):
            network = self.make_network()
        if not isinstance(network, nn.Module):
            raise UsageError(
                f"{name_of(self.make_network)} must return a torch.nn.Module, and it returned a "
                f"{type(network).__name__}"
            )
        with seeded(spec):  # new parameters, such as gates, move none of the network's draws
            with_norm(network, parse_norm(spec.norm), partial=self.partial)
        return network

    def run(self, spec: RunSpec, folder: RunFolder) -> Outcome | None:
        """Make one run, whatever becomes of it; None where another process has it in hand.

        Raises:
            StorageError: the folder cannot be written.
        """
        with folder.leased() as is_ours:
            if not is_ours:
                return None
            folder.create(
                spec,
                describe_environment(
                    "cpu" if not torch.cuda.is_available() else torch.cuda.get_device_name(),
                    torch.get_num_threads(),
                    deterministic=torch.are_deterministic_algorithms_enabled(),
                    compiled=False,
                ),
            )
            outcome = self._outcome(spec, folder)
            folder.write_outcome(outcome)
            folder.log(f"{outcome.status} {outcome.error or ''}")
            return outcome

    def _outcome(self, spec: RunSpec, folder: RunFolder) -> Outcome:
        start = time.perf_counter()
        try:
            network = self.network(spec)
            number = spec.block + 1
            block = Block(number, stream_seed(spec.seed, spec.block, "order"), spec.seed)
            with seeded(spec):
                found = self.train(network, block)
            scores = read_metrics(found, spec)
        except (KeyboardInterrupt, InterruptedRunError) as error:
            return Outcome(status="interrupted", epochs=0, error=str(error) or "Ctrl-C")
        except StorageError:
            raise
        except Exception as error:
            folder.log(traceback.format_exc())
            message = f"{type(error).__name__}: {error}"
            if isinstance(error, MemoryError | torch.OutOfMemoryError):
                return Outcome(status="out_of_memory", epochs=0, error=message)
            return Outcome(status="failed", epochs=0, error=message)
        seconds = time.perf_counter() - start
        parameters = sum(p.numel() for p in network.parameters())
        if any(math.isnan(value) for value in scores.values()):
            return Outcome(
                status="diverged", epochs=0, seconds=seconds, error="the training gave NaN"
            )
        return Outcome(
            status="finished", epochs=0, scores=scores, parameters=parameters, seconds=seconds
        )


def read_metrics(found: Any, spec: RunSpec) -> dict[str, float]:
    """The figures by name.

    Raises:
        UsageError: the metric of the study is not among them, or is no share in [0, 1].
    """
    metric = str(spec.network.options["metric"]).removeprefix(OWN_METRIC)
    given = found if isinstance(found, Mapping) else {metric: found}
    if metric not in given:
        raise UsageError(
            f"train must give the metric {metric!r}, and it gave {', '.join(map(str, given))}"
        )
    scores = {}
    for name, value in given.items():
        try:
            scores[str(name)] = float(value)
        except (TypeError, ValueError):
            raise UsageError(
                f"train must give numbers, and {name} is a {type(value).__name__}"
            ) from None
    value = scores[metric]
    if not math.isnan(value) and not 0 <= value <= 1:
        raise UsageError(
            f"the metric is a share between 0 and 1, larger is better, and {metric} is {value:g}; "
            "give 1 − error, or divide by its largest value"
        )
    return scores


def name_of(function: Callable[..., object]) -> str:
    """A function as a record names it.

    >>> name_of(name_of)
    'normlab.study.own.training.name_of'
    """
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '')}.{name}"


@contextmanager
def seeded(spec: RunSpec) -> Iterator[None]:
    """Seed the global generators by the block, and put them back afterwards."""
    seed = stream_seed(spec.seed, spec.block, "init")
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def check(training: OwnTraining, spec: RunSpec) -> None:
    """See that an arm's network can be made.

    Raises:
        UsageError: it cannot; the sentence names the arm.
    """
    try:
        training.network(spec)
    except NormlabError as error:
        raise UsageError(f"the arm {spec.arm}: {error}") from error
