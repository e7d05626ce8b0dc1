from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def load_fabricate() -> ModuleType:
    path = Path(__file__).parents[1] / "stats" / "fabricate.py"
    spec = importlib.util.spec_from_file_location("fabricate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fabricate"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fabricate() -> ModuleType:
    """The maker of studies; see fabricate.py."""
    return load_fabricate()
