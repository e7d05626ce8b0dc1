"""What it costs that records vouch for themselves: shares of a run, of a report, and of a study.

    python benchmarks/verification.py [STUDY] [--rounds 3]

Without a study, one of scikit-learn's digits is made (2 arms × 2 blocks × 8 epochs). Timed are the
functions that make and compare checksums, while a study is trained, its report is built, and
`normlab verify` reads it. Shares are of seconds of the same process, so that a busy machine
changes them little. Goals: 2 % of a run, 10 % of a report.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from normlab.data.dataset import load_data
from normlab.records.plan import parse_plan
from normlab.report.page.build import build_report
from normlab.stats.data.reading import read_study
from normlab.study.study import Study
from normlab.study.verify import verify_study
from timing import markdown_table

TIMED = {
    "normlab.records.files": ("seal", "unseal", "check_file", "checksum"),
    "normlab.records.store": ("seal", "unseal", "check_file", "checksum", "check_agreement"),
    "normlab.train.checkpoint": ("seal_checkpoint", "unseal_checkpoint"),
    "normlab.data.dataset": ("unseal", "checksum", "open_images"),
}
"""The functions that vouch or compare, where they are called from."""


HEADS = ("part", "seconds", "of them checksums", "share")


@contextlib.contextmanager
def counted() -> Iterator[list[float]]:
    """The seconds that those functions take meanwhile, those in each other counted once."""
    spent = [0.0]
    inside = [False]

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if inside[0]:
                return function(*arguments, **named)
            inside[0] = True
            start = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                spent[0] += time.thread_time() - start
                inside[0] = False

        return call

    with contextlib.ExitStack() as stack:
        for name, functions in TIMED.items():
            module = importlib.import_module(name)
            for function in functions:
                own = timed(getattr(module, function))
                stack.enter_context(mock.patch.object(module, function, own))
        yield spent


def make_study(folder: Path) -> Path:
    """Digits, trained while the checksums are timed; prints their share of the runs."""
    plan = parse_plan(
        {
            "name": "digits",
            "blocks": 2,
            "data": {"source": "demo:digits", "image_size": 16},
            "factors": {"norm": ["bn", "gn"]},
            "training": {"epochs": 8, "network": "cifar-resnet8"},
        }
    )
    dataset = load_data("demo:digits", 16)
    study = Study.create(folder, plan, dataset)
    start = time.thread_time()
    with counted() as spent:
        for _ in study.run(dataset):
            pass
    seconds = time.thread_time() - start
    share = f"{100 * spent[0] / seconds:.2f} %"
    row = ("training 4 runs", f"{seconds:.2f}", f"{spent[0]:.3f}", share)
    print(markdown_table(HEADS, [row]))
    return folder


def shares(study: Path, rounds: int) -> None:
    """Print the shares of reading, of a report, and the whole of verify beside the runs."""
    trained = sum(r.outcome.seconds or 0.0 for r in read_study(study).runs if r.outcome is not None)
    rows = []
    parts: dict[str, Callable[[], object]] = {
        "reading the records": lambda: read_study(study),
        "the page": lambda: build_report(study, exports=False),
        "the whole report": lambda: build_report(study),
    }
    for name, work in parts.items():
        found = []
        for _ in range(rounds):
            start = time.perf_counter()
            with counted() as spent:
                work()
            found.append((time.perf_counter() - start, spent[0]))
        seconds, checks = (median(column) for column in zip(*found, strict=True))
        rows.append((name, f"{seconds:.2f}", f"{checks:.3f}", f"{100 * checks / seconds:.1f} %"))
    start = time.perf_counter()
    verified = verify_study(study)
    seconds = time.perf_counter() - start
    whole = f"{100 * seconds / trained:.2f} % of {trained:,.0f} s of training"
    rows.append((f"verify ({verified.vouched} runs)", f"{seconds:.2f}", "all", whole))
    print(markdown_table(HEADS, rows))


def main() -> None:
    """Print one table, or two."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "study")
        if options.study is None:
            make_study(copy)
        else:
            shutil.copytree(options.study, copy)  # its report stays as it is
        shares(copy, options.rounds)


if __name__ == "__main__":
    main()
