"""What the audit says: lines, data, and the page with the cells marked."""

from __future__ import annotations

import json

from normlab.stats.audit.page import render_audit_page
from normlab.stats.audit.printing import as_data, as_lines
from normlab.stats.audit.rules import audit
from normlab.stats.audit.rules.base import Known

TEXT = (
    "Test of <b>norms</b>\n\n| norm & size | acc | micro F1 | | norm | acc | micro F1 | mAP |\n"
    "|---|---|---|---|---|---|---|---|\n| a | .90 | .92 | | b | .80 | .80 | .1 |\n"
)


def test_the_page_marks_the_cells(tables_of) -> None:
    tables = tables_of(TEXT)
    page = render_audit_page(tables, audit(tables))
    assert page.count("<table>") == 1  # side by side are two tables on one page of cells
    assert '<td class="certain">.90<sup> 1</sup></td><td class="certain">.92<sup> 1</sup>' in page
    assert "<td>.80</td>" in page
    assert "micro F1 .92 − accuracy .90 = +0.0200" in page
    assert "norm &amp; size" in page
    assert "http" not in page


def test_what_acts_in_a_name_is_shown_as_its_escape(tables_of) -> None:
    tables = tables_of("| norm | acc |\n|---|---|\n| a\x07\x8b\u202e<b> | .90 |\n")
    page = render_audit_page(tables, audit(tables))
    assert "<td>a\\x07\\x8b\\u202e</td>" in page
    assert not {"\x07", "\x8b", "\u202e"} & set(page)


def test_lines_say_what_was_read_and_what_was_not(tables_of) -> None:
    tables = tables_of(TEXT)
    lines = "\n".join(as_lines(tables, audit(tables), Known()))
    assert "left aside: mAP" in lines
    assert "AU01  accuracy is a count of images: not tested, for it needs --images" in lines
    assert "a: micro F1 .92 − accuracy .90 = +0.0200" in lines
    assert lines.endswith("1 certain finding, 0 questions")


def test_data_can_be_written(tables_of) -> None:
    tables = tables_of(TEXT)
    data = json.loads(json.dumps(as_data(tables, audit(tables))))
    assert (data["certain"], data["questions"], len(data["tables"])) == (1, 0, 2)
    assert data["findings"][0]["cells"] == [[1, 1], [1, 2]]
