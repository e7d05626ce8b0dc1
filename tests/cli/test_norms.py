"""`normlab norms`: the table of norms."""

from __future__ import annotations

import json
import re

import pytest

from normlab.errors import UnknownNameError
from normlab.norms.registry import find_norm
from normlab.norms.spec import norm_names


def test_the_table_of_norms(normlab) -> None:
    result = normlab("norms")
    assert result.code == 0
    found = re.findall(r"^(\S+) ", result.out, re.MULTILINE)
    assert found == norm_names()
    assert "arXiv:1502.03167" in result.out
    assert max(map(len, result.out.splitlines())) <= 95


def test_the_norms_as_json(normlab) -> None:
    rows = json.loads(normlab("norms", "--json").out)
    assert [row["code"] for row in rows] == norm_names()
    by_code = {row["code"]: row for row in rows}
    assert by_code["bin"]["parameters per channel"] == 3
    assert by_code["gn"]["options"] == "groups=8, channels=…, eps=1e-05"


# --- checks


def test_the_table_of_checks(normlab) -> None:
    result = normlab("checks")
    assert (result.code, result.err) == (0, "")
    found = re.findall(r"^(\S+) +(\S+) +(.+)$", result.out, re.MULTILINE)
    rows = json.loads(normlab("checks", "--json").out)
    assert found == [(row["code"], row["severity"], row["title"]) for row in rows]
    assert ("NL004", "warning", "Enough blocks") in found
    assert ("DC013", "error", "a split that leaks") in found
    assert all(row["summary"] for row in rows)
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("name", "code"),
    [("group", "gn"), ("GroupNorm", "gn"), ("batch_norm", "bn"), ("layernorm", "ln"),
     ("instance", "in"), ("batch-instance", "bin"), ("gnn", "gn")],
)  # fmt: skip
def test_a_norm_by_another_name_is_suggested(name, code):
    with pytest.raises(UnknownNameError, match=f"did you mean '{code}'"):
        find_norm(name)
