from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ALL_FAST = 4
"""Cases of one test that are all fast; of more an even sample of as many is."""
SPAWNED = {"test_synchronize.py": 1, "test_export.py": 1}
"""Cases of a test in files where each starts processes or compiles for seconds."""


@pytest.hookimpl(tryfirst=True)  # before -m is applied
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test over many norms, layouts, dtypes and activations a sample is fast, the rest slow.

    All cases run in `make test`; `make test-fast` still runs every function of this folder.
    """
    here = Path(__file__).parent
    cases: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if here in item.path.parents:
            cases[item.nodeid.partition("[")[0]].append(item)
    for own in cases.values():
        fast = SPAWNED.get(own[0].path.name, ALL_FAST)
        step = len(own) / fast
        kept = {int(number * step) for number in range(fast)}
        for place, item in enumerate(own):
            if step > 1 and place not in kept:
                item.add_marker(pytest.mark.slow)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For tests of many tiny steps, which threads that wait for one another make slow."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def compiler():
    """torch.compile from a clean slate, and a clean slate left behind."""
    torch.compiler.reset()
    yield torch.compile
    torch.compiler.reset()
