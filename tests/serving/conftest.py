"""The tiny pictures and plans of the tests of studies."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PATH = Path(__file__).parents[1] / "study" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("tiny_studies", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
_tiny = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_tiny)

pictures, dataset, make_plan = _tiny.pictures, _tiny.dataset, _tiny.make_plan
