"""`normlab doctor` says what is here and what is missing for what."""

from __future__ import annotations

import tomllib
from pathlib import Path

from normlab.cli.verbs import doctor as module


def test_it_says_what_serves_and_what_is_missing(normlab, monkeypatch) -> None:
    extras = {"docs": (("no_such_module", "json"), "a test"), "hf": (("json",), "another")}
    monkeypatch.setattr(module, "EXTRAS", extras)
    result = normlab("doctor")
    assert (result.code, result.err) == (0, "")
    lines = {line[:9].strip(): line[9:] for line in result.out.splitlines()}
    assert "Python 3." in lines["normlab"]
    assert lines["cpu"].startswith(("compiled (", "reference"))
    assert "cache" in lines["cache"]
    assert lines["cache"].endswith("writable")
    assert lines["extras"] == "hf"
    assert lines["missing"] == 'no_such_module for a test · pip install "normlab[docs]"'


def test_every_extra_of_the_package_is_looked_for() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    extras = set(project["project"]["optional-dependencies"])
    assert set(module.EXTRAS) == extras - {"dev"}
