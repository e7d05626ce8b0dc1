"""The code on docs/own-norm.md runs as it stands there; its contract passes, and can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from normlab.errors import UsageError
from normlab.norms import registry
from normlab.norms.spec import make_norm
from normlab.testing import NormContract

PAGE = Path(__file__).parents[2] / "docs" / "own-norm.md"
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """What the page defines, with the table of norms put back afterwards."""
    module = types.ModuleType("own_norm_page")  # where pickle finds the class again
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found: dict[str, object] = module.__dict__
    with registry.temporary_norms():
        for block in re.findall(
            r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
        ):
            if not block.startswith("# half_mean.py"):  # a sketch of the file made below
                exec(compile(block, str(PAGE), "exec"), found)
        yield found


def contract_tests() -> list[str]:
    return [name for name in dir(NormContract) if name.startswith("test_")]


@pytest.mark.parametrize("test", contract_tests())
def test_the_page_keeps_the_contract(names: dict[str, object], test: str) -> None:
    getattr(names["TestHalfMeanNorm"](), test)()


def test_the_formula(names: dict[str, object]) -> None:
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64) + 2
    mean = x.mean((2, 3), keepdim=True)
    root = (x.square().mean((1, 2, 3), keepdim=True) + 1e-5).sqrt()
    expected = (x - mean / 2) / root
    assert torch.allclose(names["HalfMeanNorm2d"](4).double()(x), expected)


def test_it_has_a_name(names: dict[str, object]) -> None:
    assert sum(isinstance(m, names["HalfMeanNorm2d"]) for m in names["network"].modules()) == 7
    assert type(make_norm("half-mean", 4)) is names["HalfMeanNorm2d"]
    with pytest.raises(UsageError, match="already; choose another"):
        registry.register(registry.NORMS["half-mean"])
    with pytest.raises(UsageError, match="no space"):
        registry.register(registry.NormInfo("a b", "", "", "", {}, 0, torch.nn.Identity))


class NoResidual(torch.nn.Module):
    def forward(self, x):
        return x


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda channels: channels, "norm 'own' makes a int, which is not a torch.nn.Module"),
        (lambda channels: NoResidual(), "norm 'own' makes a NoResidual, which is not called as a"),
        (lambda: NoResidual(), "norm 'own' cannot be made for 16 channels with its default"),
    ],
)
def test_what_is_no_norm_is_not_registered(make, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        registry.register(registry.NormInfo("own", "", "", "", {}, 0, make))
    assert str(caught.value).startswith(sentence)
    assert "own" not in registry.NORMS
    with pytest.raises(UsageError, match="registered as a NormInfo, got"):
        registry.register(NoResidual)


@pytest.mark.slow
def test_as_a_package_of_one_file(tmp_path: Path) -> None:
    """The page's blocks as half_mean.py, with its pyproject.toml, installed: it has a name."""
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    chosen = [b for b in blocks if "class HalfMeanNorm2d(nn.Module):\n" in b or "NormInfo(\n" in b]
    assert len(chosen) == 2
    package = tmp_path / "half-mean"
    package.mkdir()
    (package / "half_mean.py").write_text("\n".join(chosen), encoding="utf-8")
    (toml,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    installed = tomllib.loads(toml)  # what pip would make of it: the module and its metadata
    site = tmp_path / "site"
    facts = site / "half_mean-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "half_mean.py").write_text((package / "half_mean.py").read_text("utf-8"), "utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: half-mean\nVersion: 1.0\n")
    entries = installed["project"]["entry-points"]["normlab.norms"]
    lines = ["[normlab.norms]", *(f"{name} = {value}" for name, value in entries.items())]
    (facts / "entry_points.txt").write_text("\n".join(lines) + "\n")
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{SOURCE}"}
    command = [sys.executable, "-m", "normlab", "norms"]
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "half-mean   half-mean normalization" in listed.stdout
    environment["PYTHONPATH"] = str(SOURCE)
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "half-mean" not in listed.stdout
