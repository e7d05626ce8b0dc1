"""Every table that a study exports: what its CSV holds is what its page shows."""

from __future__ import annotations

import csv
import io
import re

import pytest

from normlab.report.export.formats import to_csv
from normlab.report.export.table import Printed
from normlab.report.page.build import report_context
from normlab.report.sections.registry import sections

NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:e[+-]\d+)?")


@pytest.fixture(scope="module")
def tables(fabricate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    plan = fabricate.make_plan(norms=("bn", "gn", "none"), blocks=5, batch_size=(8, 32), epochs=6)
    runs = fabricate.write_study(folder, plan, fabricate.make_runs(plan))
    for run in runs:
        fabricate.write_layers(run)
    context = report_context(folder)
    views = [(one, one.build(context)) for one in sections()]
    return [table for one, view in views if view is not None for table in one.tables(view)]


def test_headings_are_unique_and_numbers_are_numbers(tables) -> None:
    assert {"answer", "claims", "evidence", "ensembles"} <= {t.slug.split("-")[0] for t in tables}
    for table in tables:
        head, *rows = csv.reader(io.StringIO(to_csv(table)))
        assert len(set(head)) == len(head) == len(rows[0]), table.slug
        fields = [field for row in rows for field in row]
        assert not [f for f in fields if re.match(r"'|[−+]\d|–$|.*\d ±|\[", f)], table.slug


def test_the_number_is_the_one_that_is_printed(tables) -> None:
    """The answer's CSV held −0.0648 below "(points)", where the page shows −6.5."""
    seen = 0
    for table in tables:
        for cell in (cell for row in table.rows for cell in row if isinstance(cell, Printed)):
            printed = NUMBER.findall(cell.text.replace("−", "-"))
            parts = (cell.value, cell.sd, *(cell.interval or ()))
            held = [number for number in parts if number is not None]
            for text, number in zip(printed, held, strict=False):
                digits = len(text.partition(".")[2])
                near = 0.01 * abs(number) if "e" in text else 0.51 * 10**-digits
                right = float(text) == pytest.approx(number, abs=near)
                assert right or "<" in cell.text, (table.slug, cell)
                seen += 1
    assert seen > 100
