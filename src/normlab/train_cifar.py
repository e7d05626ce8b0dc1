"""The course's training program by the name and options of its earlier years.

    python -m normlab.train_cifar --normalization bn --data_dir cifar-10-batches-py --n 2 \
        --output_file model.safetensors

`normlab train` by other words, with one dash or two: bn, in, bin, ln, gn, nn (none), inbuilt or
torch_bn; the 6n+2 layers of n; the data of `--data_dir` (CIFAR's own files, or a folder of images).
The run's folder is OUTPUT_FILE-run, the same command goes on with it, and what else is given goes
to `normlab train` as it is. The output file is the run's weights with their description, which
`normlab.infer` takes by any name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from normlab.cli.main import main
from normlab.errors import NormlabError, UsageError

SIZE = 32
"""Pixels of a side of CIFAR's images."""
EPOCHS = 30


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"train_cifar: {message}")


def arguments_of_train(given: Sequence[str]) -> tuple[list[str], Path, Path]:
    """What `normlab train` is called with, the run's folder, and the file to write.

    Raises:
        UsageError: an option is missing, or is no number.
    """
    from normlab.serving.course.network import NAMES

    parser = _Parser(prog="train_cifar", description=__doc__.splitlines()[0], allow_abbrev=False)
    for name in ("normalization", "data_dir", "output_file"):
        parser.add_argument(f"--{name}", f"-{name}", required=True)
    parser.add_argument("--n", "-n", type=int, required=True)
    parser.add_argument("--num_epochs", "-num_epochs", type=int, default=EPOCHS)
    own, rest = parser.parse_known_args(given)
    if not 1 <= own.n <= 1000:
        raise UsageError(f"n is the blocks of a stage, 1 to 1000, got {own.n}")
    norm = NAMES.get(own.normalization, own.normalization)
    run = Path(f"{own.output_file}-run")
    words = ["train", own.data_dir, "--norm", norm, "--model", f"cifar-resnet{6 * own.n + 2}"]
    words += ["--epochs", str(own.num_epochs), "--out", str(run), "--yes"]
    if "--image-size" not in rest:
        words += ["--image-size", str(SIZE)]
    return [*words, *rest], run, Path(own.output_file)


def program() -> int:
    """Train, and put the weights where they are asked for; the exit code."""
    from normlab.records.files import atomic_write

    try:
        words, run, output = arguments_of_train(sys.argv[1:])
        sys.argv[1:] = words
        try:
            main()
        except SystemExit as end:  # typer ends so, however it went
            if end.code:
                raise
        (weights,) = run.glob("runs/*/weights.safetensors")
        atomic_write(output, weights.read_bytes())
    except NormlabError as error:
        sys.stderr.write(f"normlab: {error}\n")
        return 2
    sys.stdout.write(f"written  {output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(program())
