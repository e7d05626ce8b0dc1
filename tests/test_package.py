"""The package as a whole: what importing it costs, its public names, its examples, its recipes."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import normlab
from normlab.records.cells import cells
from normlab.records.plan import read_plan
from normlab.study.check import check_plan
from normlab.study.design.freeze import freeze
from normlab.study.design.runs import plan_runs

RECIPES = Path(__file__).parent.parent / "recipes"
WITH_EXAMPLES = (
    "normlab.errors",
    "normlab.cli.options",
    "normlab.records.cells",
    "normlab.stats.inference.sequential",
    "normlab.text",
    "normlab.networks.registry",
    "normlab.networks.resnet.resnet",
    "normlab.networks.statistics",
    "normlab.networks.view",
    "normlab.norms.training.parameters",
    "normlab.norms.spec",
    "normlab.study.budget",
    "normlab.train.early_stopping",
)


def test_pip_can_read_setup() -> None:
    """As in a fresh clone: nothing of normlab is installed or imported there."""
    pytest.importorskip("setuptools")
    command = [sys.executable, "-P", "setup.py", "--version"]
    folder = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == normlab.__version__


def test_importing_normlab_imports_nothing_heavy() -> None:
    code = """
import sys
import normlab
dir(normlab), normlab.__version__
heavy = {"torch", "numpy", "pandas", "scipy", "PIL", "typer", "pydantic"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    assert set(normlab.__all__) <= set(dir(normlab))
    for name in normlab.__all__:
        assert getattr(normlab, name) is not None
    assert normlab.make_norm("bn", channels=4).weight.shape == (4,)
    assert issubclass(normlab.NormlabError, Exception)


def test_the_names_for_type_checkers_are_the_names_at_run_time() -> None:
    """`normlab.X` is imported lazily; the block under TYPE_CHECKING has to say the same."""
    source = Path(normlab.__file__).read_text()
    for name, home in normlab._HOMES.items():
        assert f"    from {home} import {name} as {name}\n" in source
        assert getattr(normlab, name) is getattr(importlib.import_module(home), name)


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Studdy'"):
        _ = normlab.Studdy


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module))
    assert results.failed == 0
    assert results.attempted > 0


def test_every_file_of_the_package_is_in_its_wheel() -> None:
    """Templates and kernels, which setuptools packs only where they are listed."""
    package = Path(normlab.__file__).parent
    settings = tomllib.loads((RECIPES.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["normlab"]
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    made = {".py", ".pyc", ".so"}
    others = {p for p in package.rglob("*") if p.is_file() and p.suffix not in made}
    assert len(others) > 5
    assert others <= packed


# --- recipes


def test_every_recipe_is_tested() -> None:
    assert sorted(path.name for path in RECIPES.glob("*.toml")) == [
        "cifar10.toml",
        "indian-birds.toml",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "number", "blocks"),
    [
        # 7 norms × 3 optimizers × 2 rates = 42; of bn, gn × batch 8, 32, 128 the two at 32 are
        # among them (sgd, 1e-3), so that 4 are new.
        ("indian-birds.toml", 42 + 4, 5),
        ("cifar10.toml", 3, 5),
    ],
)
def test_a_recipe_expands_to_its_runs(recipe: str, number: int, blocks: int) -> None:
    plan = read_plan(RECIPES / recipe)
    check_plan(plan)
    assert len(cells(plan)) == number
    runs = plan_runs(freeze(plan, "fingerprint", ("a", "b")))
    assert len(runs) == len({run.id for run in runs}) == number * blocks


def test_indian_birds_by_factor() -> None:
    found = cells(read_plan(RECIPES / "indian-birds.toml"))
    assert len([cell for cell in found if cell.batch_size == 32]) == 42
    assert {(cell.norm, cell.batch_size) for cell in found if cell.batch_size != 32} == {
        ("bn", 8),
        ("gn", 8),
        ("bn", 128),
        ("gn", 128),
    }
    assert {cell.optimizer for cell in found} == {"sgd", "rmsprop", "adam"}
    assert {cell.learning_rate for cell in found} == {1e-3, 1e-4}
