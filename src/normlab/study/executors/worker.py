"""A process that makes one run after the other, as it is told on its standard input.

    python -m normlab.study.executors.worker

Every line in is a JSON object, and so is every answer:

    {"study": "…", "settings": {…}}                → {"ready": true} once it has data and device
    {"job": {…}}                                   → {"error": "", "kind": ""} once it has ended;
                                                     how, its records say
    {"calibration": {…job…}, "seconds": 2}         → {"images_per_second": 812.5}
    {"memory": "peak"}                             → {"peak": [host's bytes, the device's]}
    {"stop": true}                                 stops the run in hand in order

What cannot go on is answered with {"error": sentence, "kind": "StorageError"}, and ends the
process. It ends too when its input ends, which is when the process that started it is gone: after
the batch in hand if that is soon, else at once, for whatever is in the records is whole. Signals
and the end of the input are heard before anything slow is imported.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import InterruptedRunError, NormlabError
from normlab.memory import is_out_of_memory, offer_as_victim, peak_bytes, with_remedy
from normlab.train.interrupt import StopRequest

if TYPE_CHECKING:
    from normlab.data.dataset import Dataset
    from normlab.study.job import Job

GRACE_SECONDS = 0.5
"""Seconds from the end of the input to the end of the process."""
STEPS = 4
"""Calibration steps between two looks at the clock."""


class Conversation:
    """Lines from the process that started this one, and answers to it."""

    def __init__(self, stop: StopRequest) -> None:
        """Listen from now on; what other code prints goes where errors go."""
        self._stop = stop
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        threading.Thread(target=self._listen, name="input", daemon=True).start()

    def next_line(self) -> dict[str, Any] | None:
        """What is to be done next; None when there is nothing more."""
        return self._lines.get()

    def answer(self, content: dict[str, Any]) -> None:
        """Send an answer as one line of JSON."""
        try:
            self._answers.write(json.dumps(content) + "\n")
            self._answers.flush()
        except OSError:  # nobody is there any more, and the input has ended too
            self._stop.is_set = True

    def _listen(self) -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if "stop" in message:
                self._stop.is_set = True
            else:
                self._lines.put(message)
        self._stop.is_set = True
        self._lines.put(None)
        time.sleep(GRACE_SECONDS)
        os._exit(1)


def main() -> None:
    """Answer until the input ends."""
    offer_as_victim()
    with StopRequest().listening() as stop:
        conversation = Conversation(stop)
        try:
            _work(conversation, stop)
        except InterruptedRunError:
            os._exit(0)
        except (NormlabError, OSError, RuntimeError, MemoryError) as error:
            kind = type(error).__name__ if isinstance(error, NormlabError) else "UsageError"
            said = with_remedy(error) if is_out_of_memory(error) else " ".join(str(error).split())
            conversation.answer({"error": said, "kind": kind})
            os._exit(2)
        # The interpreter would take seconds to put everything away, and lets no thread end it.
        os._exit(0)


def _work(conversation: Conversation, stop: StopRequest) -> None:
    first = conversation.next_line()
    if first is None:
        return
    import torch

    from normlab.norms.fused.cpu.memory import give_back_freed_memory
    from normlab.study.executors.remote import answer_job
    from normlab.study.job import Job, prepare_process, read_settings, study_data

    settings = read_settings(first["settings"])
    study = Path(first["study"])
    prepare_process(settings)
    torch.empty(1, device=settings.device)  # a device that cannot be had is found out here
    dataset = study_data(study, settings.source)
    conversation.answer({"ready": True})
    while (message := conversation.next_line()) is not None:
        if "calibration" in message:
            job = Job.from_json(message["calibration"])
            torch.set_num_threads(job.settings.threads)
            speed = images_per_second(job, dataset, message["seconds"])
            conversation.answer({"images_per_second": speed})
            continue
        if "memory" in message:
            conversation.answer({"peak": [peak_bytes(), _device_peak(settings.device)]})
            continue
        answer = answer_job(message["job"], lambda images: stop.check())
        conversation.answer(vars(answer))
        if stop.is_set or answer.kind:
            return
        give_back_freed_memory()


def images_per_second(job: Job, dataset: Dataset, seconds: float) -> float:
    """The speed of training steps that are thrown away; 0 where they break, as without memory."""
    from normlab.data.load import block_data
    from normlab.study.calibration import CalibrationRun

    spec, device = job.spec, job.settings.device
    try:
        data = block_data(dataset, spec, device)
        calibration = CalibrationRun(spec, data, device, job.settings.steps)
        images, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            calibration.train(STEPS)
            images += STEPS * spec.batch_size
        return images / (time.perf_counter() - start)
    except (RuntimeError, MemoryError):
        return 0.0


def _device_peak(device: str) -> int:
    import torch

    return torch.cuda.max_memory_reserved(device) if device.startswith("cuda") else 0


if __name__ == "__main__":
    main()
