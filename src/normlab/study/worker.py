"""A process that makes one run after the other, as it is told on its standard input.

    python -m normlab.study.worker STUDY SOURCE DEVICE PARENT

Every line is a JSON object; the answer is one too:

    {"run": spec, "judged": true, "threads": 1, "compiled": false}
                                                    → {"done": id}, once its outcome is written
    {"pilot": spec, "seconds": 2, "threads": 1}     → {"images_per_second": 812.5}

It ends with its input, on SIGINT after the run in hand has been stopped in order, and when the
process that started it is gone: two processes must never write to one run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch

from normlab.data.load import block_data
from normlab.errors import InterruptedRunError
from normlab.norms.kernels.memory import give_back_freed_memory
from normlab.records.schema import RunSpec
from normlab.study.study import Study
from normlab.train.execute import execute
from normlab.train.fit import Batches, train_epoch
from normlab.train.interrupt import StopRequest
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule
from normlab.train.step import Steps, gradients_of

PILOT_STEPS = 4
"""Before the clock starts: allocations, choice of kernels, the graph of a GPU."""


def main() -> None:
    """Answer until the input ends."""
    study_folder, source, device, parent = sys.argv[1:]
    study = Study.open(study_folder)
    dataset = study.load_data(source)
    with StopRequest().listening() as stop:

        def around(batches: Batches) -> Batches:
            for batch in stop.between(batches):
                if os.getppid() != int(parent):
                    raise InterruptedRunError("the process that started this one is gone")
                yield batch

        answer({"ready": True})
        for line in sys.stdin:
            told: dict[str, Any] = json.loads(line)
            torch.set_num_threads(told["threads"])
            spec = RunSpec.model_validate(told.get("run") or told["pilot"])
            data = block_data(dataset, spec, device)
            if "pilot" in told:
                answer({"images_per_second": pilot(spec, data, device, told["seconds"])})
                continue
            folder = study.run_folder(spec)
            for _ in execute(
                spec,
                data,
                folder,
                device=device,
                around=around,
                judged=told["judged"],
                steps=Steps(compiled=told["compiled"]),
            ):
                pass
            give_back_freed_memory()
            answer({"done": spec.id})
            if stop.is_set:
                return


def pilot(spec: RunSpec, data: Any, device: str, seconds: float) -> float:
    """Images a second of training steps that are thrown away."""
    network = build_network(spec, device)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(optimizer, spec.schedule, epochs=10_000, steps_per_epoch=1000)
    gradients = gradients_of(network, spec)
    batches = endless(data)
    first = [next(batches) for _ in range(PILOT_STEPS)]
    train_epoch(network, optimizer, schedule, first, spec, gradients)
    images, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        own = [next(batches) for _ in range(PILOT_STEPS)]
        train_epoch(network, optimizer, schedule, own, spec, gradients)
        images += sum(len(batch[0]) for batch in own)
    return images / (time.perf_counter() - start)


def endless(data: Any) -> Iterator[Any]:
    """Batches of one epoch after the other."""
    epoch = 1
    while True:
        yield from data.train_batches(epoch)
        epoch += 1


def answer(content: dict[str, Any]) -> None:
    """One line to the process that asked."""
    print(json.dumps(content), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
