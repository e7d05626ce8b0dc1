"""Tables from text, and the made tables of the benchmark."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from normlab.stats.audit.model import PublishedTable
from normlab.stats.audit.reading import read_tables

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "audit.py"


@pytest.fixture
def tables_of(tmp_path: Path) -> Callable[..., list[PublishedTable]]:
    """tables_of(text, "name.md") reads the text as a file of that name."""

    def read(text: str, name: str = "tables.md") -> list[PublishedTable]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_tables(tmp_path / name)

    return read


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """benchmarks/audit.py as a module."""
    spec = importlib.util.spec_from_file_location("benchmark_audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_audit"] = module
    spec.loader.exec_module(module)
    return module
