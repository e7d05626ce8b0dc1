from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


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
