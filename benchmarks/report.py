"""Size of the page, time to write it, time until it can be used: `python benchmarks/report.py`.

The studies are made up (tests/helpers/fabricate.py): one of 7 arms × 10 blocks × 50 epochs, and one
of 1,050 runs in 15 settings. The time in the browser needs Chromium and the package websockets.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

from normlab.report.page.build import build_report

TESTS = Path(__file__).parents[1] / "tests" / "helpers"
STUDIES = {
    "7 arms, 10 blocks, 50 epochs": {"blocks": 10},
    "1,050 runs in 15 settings": {
        "blocks": 10,
        "optimizer": ("sgd", "rmsprop", "adam"),
        "batch_size": (8, 16, 32, 64, 128),
    },
}
GOALS = {
    "7 arms, 10 blocks, 50 epochs": "<= 3 MB, <= 10 s, <= 1.5 s",
    "1,050 runs in 15 settings": "<= 10 MB, <= 60 s, <= 4 s",
}


def load(path: Path) -> ModuleType:
    """A module by its file: the tests are no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def usable(browser: ModuleType, page: Path) -> str:
    """The median of three loads, from opening the address to a page that answers."""
    if browser.missing():
        return browser.missing()
    with browser.Browser() as chromium:
        times = sorted(chromium.open(page.resolve().as_uri()) for _ in range(3))
    return f"{times[1]:.2f} s (three loads: {', '.join(f'{t:.2f}' for t in times)})"


def main() -> None:
    """Print a line a study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="write the studies here and leave them")
    folder = parser.parse_args().keep or Path(tempfile.mkdtemp())
    fabricate = load(TESTS / "fabricate.py")
    browser = load(TESTS / "browser.py")
    for number, (name, options) in enumerate(STUDIES.items()):
        study = folder / f"study-{number}"
        if not study.exists():
            classes = tuple(f"class {index:02}" for index in range(25))
            plan = fabricate.make_plan(epochs=50, classes=classes, **options)
            fabricate.write_study(study, plan, fabricate.make_runs(plan))
        start = time.perf_counter()
        page = build_report(study)
        written = time.perf_counter() - start
        size = page.stat().st_size / 1e6
        print(f"{name} (goal {GOALS[name]})")
        print(f"  {size:.2f} MB, written in {written:.1f} s, usable in {usable(browser, page)}")


if __name__ == "__main__":
    main()
