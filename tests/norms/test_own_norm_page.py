"""The code on docs/own-norm.md runs as it stands there; its contract passes, and can fail."""

from __future__ import annotations

import re
import sys
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
