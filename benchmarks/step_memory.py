"""Is what a step is said to need what it needs? Estimates against peaks, a process each.

python benchmarks/step_memory.py --model cifar-resnet20 --model timm/resnet18 --batch 32 --batch 128

The estimate is that of `normlab.study.calibration.step_bytes`, by which `compare`, `run` and
`train` decide whether steps are made in a process of their own. The peak is what memory the
process has at most in three steps and an evaluation, less what it had before the network was made.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import markdown_table

CODE = """
import json, resource, sys
from pathlib import Path
import torch
from normlab.data.load import block_data
from normlab.norms.fused.cpu.memory import keep_freed_memory
from normlab.study.calibration import CalibrationRun, step_bytes
from normlab.study.study import Study
from normlab.study.job import study_data
study = Study.open(Path(sys.argv[1]))
dataset = study_data(study.folder, study.plan.data.source)
spec = study.specs()[0]
data = block_data(dataset, spec, "cpu")
for batch in data.plain_batches("validation"): break
keep_freed_memory()
def now():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
before = now()
run = CalibrationRun(spec, data, "cpu")
run.train(2)
run.evaluate()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
print(json.dumps([step_bytes(spec), peak]))
"""


def measured(model: str, norm: str, size: int, batch: int, source: str) -> tuple[int, int]:
    """Bytes as they are estimated, and as they are."""
    normlab = [sys.executable, "-m", "normlab"]
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["plan", source, "--norms", norm, "--model", model, "--image-size", str(size)]
        arguments += ["--batch-sizes", str(batch), "--blocks", "1", "--epochs", "1", "--no-probe"]
        arguments += ["--yes", "--out", f"{folder}/study"]
        done = subprocess.run([*normlab, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        command = [sys.executable, "-c", CODE, f"{folder}/study"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    estimate, peak = json.loads(done.stdout.splitlines()[-1])
    return estimate, peak


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--norm", action="append")
    parser.add_argument("--batch", action="append", type=int)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--source", default="demo:digits")
    given = parser.parse_args()
    rows = []
    for model in given.model:
        for norm in given.norm or ["bn"]:
            for batch in given.batch or [64]:
                estimate, peak = measured(model, norm, given.size, batch, given.source)
                sizes = (f"{number / 2**20:,.0f}" for number in (estimate, peak))
                rows.append([Path(model).name, norm, str(batch), *sizes, f"{estimate / peak:.2f}"])
    print(markdown_table(("model", "norm", "batch", "estimate (MiB)", "peak", "ratio"), rows))


if __name__ == "__main__":
    main()
