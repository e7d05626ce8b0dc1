"""The examples in the docstrings of normlab.norms and of the contract run as they are written."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import normlab.norms

MODULES = [
    "normlab.testing.norm_contract",
    *(
        name
        for _, name, is_package in pkgutil.walk_packages(normlab.norms.__path__, "normlab.norms.")
        if not is_package
        and not name.startswith("normlab.norms.fused.triton.")
        and not name.endswith("__main__")
    ),
]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module))
    assert results.failed == 0


def test_examples_are_found() -> None:
    """A runner that finds nothing would pass everything above."""
    counts = {name: doctest.testmod(importlib.import_module(name)).attempted for name in MODULES}
    with_examples = {name.rpartition(".")[2] for name, count in counts.items() if count}
    expected = {"parameters", "spec", "norm_contract", "batch", "group", "rms", "activation"}
    assert with_examples >= expected
