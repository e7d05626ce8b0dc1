"""`normlab report`: another factor as the arms, and the analysis in words of a real study."""

from __future__ import annotations

import pytest


def test_finished_runs_are_judged_by_another_factor(normlab, study) -> None:
    result = normlab("report", study, "--compare", "batch-size")
    result.assert_one_sentence("'batch_size' does not vary in this study", "norm")
    normlab("report", study, "--reference", "gn").assert_one_sentence("--compare")
    normlab("report", study, "--compare", "norm", "--watch").assert_one_sentence("--watch")
    assert not (study / "report" / "by-norm").exists()


@pytest.mark.slow
def test_the_report_of_a_real_study_says_words(normlab, study) -> None:
    result = normlab("report", study)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("Analysis"))
    said = [line for line in lines[start + 1 :] if line.startswith("  ")]
    assert 1 <= len(said) <= 5
    text = (study / "report" / "analysis.txt").read_text(encoding="utf-8")
    assert "Test accuracy: bn has" in text
    assert "one block: " in text or "the same in every block" in text
