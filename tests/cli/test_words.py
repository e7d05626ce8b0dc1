"""Words on the command line that cannot be read, and memory that ran out: one sentence each."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        (["comapre", "photos"], ("there is no verb 'comapre'; did you mean compare", "--help")),
        (["--frobnicate"], ("--frobnicate", "see: normlab --help")),
        (["compare", "--blocks", "abc"], ("'--blocks'", "'abc'", "valid integer", "compare --h")),
        (["compare", "--blocks", "9" * 5000], ("9… (5,0",)),
        (["compare", "--blocks", "0"], ("'--blocks'", "0", "1")),
        (["serve", "S", "--rate", "nan"], ("--rate",)),
        (["train", "photos", "--weight-decay", "inf"], ("--weight-decay takes a finite number",)),
        (["compare", "--demo", "--learning-rates", "1,nan"], ("rates takes finite numbers",)),
        (["status"], ("missing argument", "see: normlab status --help")),
        (["compare", "--blocks"], ("--blocks",)),
        (["predict", "S", "a.jpg", "b.jpg"], ("given as their folder: normlab predict STUDY FO",)),
    ],
)
def test_words_that_cannot_be_read(normlab, command, parts) -> None:
    normlab(*command).assert_one_sentence(*parts)


def test_memory_that_ran_out(normlab, monkeypatch, photos, tiny) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("normlab.cli.session.conduct.load_with_progress", fail)
    normlab("compare", "photos", *tiny).assert_one_sentence("MemoryError", "fewer --jobs need less")
