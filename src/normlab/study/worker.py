"""A process that makes one run after the other, as it is told on its standard input.

    python -m normlab.study.worker STUDY SOURCE DEVICE PARENT

Every line is a JSON object; the answer is one too:

    {"run": spec, "evaluate_test": true, "threads": 1, "compiled": false}
                                                    → {"done": id}, once its outcome is written
    {"calibration": spec, "seconds": 2, "threads": 1}     → {"images_per_second": 812.5}

It ends with its input, on SIGINT after the run in hand has been stopped in order, and when the
process that started it is gone: two processes must never write to one run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import torch

from normlab.data.load import BlockData, block_data
from normlab.errors import InterruptedRunError
from normlab.norms.fused.cpu.memory import give_back_freed_memory
from normlab.records.run import RunSpec
from normlab.study.calibration import CalibrationRun
from normlab.study.study import Study
from normlab.train.execute import execute
from normlab.train.fit import Batches
from normlab.train.interrupt import StopRequest
from normlab.train.step import Steps

STEPS = 4
"""Of the calibration between two looks at the clock."""


def main() -> None:
    """Answer until the input ends."""
    study_folder, source, device, parent = sys.argv[1:]
    study = Study.open(study_folder)
    dataset = study.load_data(source)
    torch.empty(1, device=device)  # a device that cannot be had is found out here
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
            spec = RunSpec.model_validate(told.get("run") or told["calibration"])
            data = block_data(dataset, spec, device)
            if "calibration" in told:
                answer(
                    {"images_per_second": images_per_second(spec, data, device, told["seconds"])}
                )
                continue
            folder = study.run_folder(spec)
            for _ in execute(
                spec,
                data,
                folder,
                device=device,
                around=around,
                evaluate_test=told["evaluate_test"],
                steps=Steps(compiled=told["compiled"]),
            ):
                pass
            give_back_freed_memory()
            answer({"done": spec.id})
            if stop.is_set:
                return


def images_per_second(spec: RunSpec, data: BlockData, device: str, seconds: float) -> float:
    """Of training steps that are thrown away; none where they break, as without memory left."""
    try:
        calibration = CalibrationRun(spec, data, device)
        images, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            calibration.train(STEPS)
            images += STEPS * spec.batch_size
        return images / (time.perf_counter() - start)
    except (RuntimeError, MemoryError):
        return 0.0


def answer(content: dict[str, Any]) -> None:
    """One line to the process that asked."""
    print(json.dumps(content), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
