from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For tests of many tiny steps, which threads that wait for one another make slow."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def libraries() -> ModuleType:
    """The copies of timm's and torchvision's classes."""
    path = Path(__file__).with_name("libraries.py")
    spec = importlib.util.spec_from_file_location("normlab_test_libraries", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # so that its classes can be pickled
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def compiler():
    """torch.compile from a clean slate, and a clean slate left behind."""
    torch.compiler.reset()
    yield torch.compile
    torch.compiler.reset()
