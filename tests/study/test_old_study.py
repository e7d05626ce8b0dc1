"""A study that version 0.1.0 made before the parts of the data were train, validation and test.

study-0.1.0.zip holds its records (tuned, two arms, two blocks, without weights), and expected.json
what that version's own code made of it: the tables, and the runs of one more block.
"""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from normlab.records.store import RunFolder, read_runs
from normlab.report.page.build import build_report
from normlab.study.study import Study


@pytest.fixture
def old(tmp_path: Path) -> tuple[Path, dict]:
    with zipfile.ZipFile(Path(__file__).with_name("study-0.1.0.zip")) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "study", json.loads((tmp_path / "expected.json").read_text())


def digest(weights: Path) -> str:
    """SHA-256 over names and bytes of all tensors, in the order of their names."""
    found = hashlib.sha256()
    for name, values in sorted(load_file(weights).items()):
        found.update(name.encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def machine() -> list[str]:
    """What decides which kernels are chosen: the processor, its instructions, torch."""
    facts = ("cpu family", "model\t", "stepping", "cache size", "flags")
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        lines = []
    found = "\n".join(line for line in lines if line.startswith(facts))
    return [hashlib.sha256(found.encode()).hexdigest(), torch.__version__]


def test_records_are_read_and_keep_their_ids(old) -> None:
    folder, _ = old
    study = Study.open(folder)
    assert study.missing() == []
    for kind in ("runs", "tuning"):
        for path in sorted((folder / kind).iterdir()):
            record = RunFolder(path).read()
            assert record.spec.folder_name == path.name
            assert record.outcome is not None
            assert record.outcome.validation is not None
            assert (record.outcome.test is None) == (kind == "tuning")
            assert len(record.rows) == record.outcome.epochs


def test_tables_are_what_they_were(old) -> None:
    folder, expected = old
    build_report(folder)
    for part, rows in expected["tables"].items():
        (path,) = (folder / "report" / "tables").glob(f"norm-{part}-*.csv")
        with path.open(encoding="utf-8") as file:
            assert list(csv.reader(file))[1:] == rows[1:]


def test_the_study_goes_on_with_the_same_numbers(old) -> None:
    folder, expected = old
    study = Study.open(folder)
    study.set_blocks(3)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(expected["threads"])
        for _ in study.run():
            pass
    finally:
        torch.set_num_threads(threads)
    same_machine = machine() == expected["machine"]
    new = {run.folder.name: run for run in read_runs(folder) if run.spec.block == 2}
    assert new.keys() == expected["continued"].keys()
    for name, was in expected["continued"].items():
        rows = [json.loads(row.model_dump_json()) for row in new[name].rows]
        outcome = new[name].outcome
        assert outcome is not None
        assert outcome.test is not None
        for row, before in zip(rows, was["rows"], strict=True):
            for key, value in before.items():  # seconds differ
                assert row[key] == pytest.approx(value, rel=0.05, abs=0.05)
        if same_machine:  # to the bit: kernels and thread counts of others round otherwise
            assert [{key: row[key] for key in was["rows"][0]} for row in rows] == was["rows"]
            assert outcome.test.model_dump() == was["test"]
            assert digest(new[name].folder / "weights.safetensors") == was["weights"]
            predictions = RunFolder(new[name].folder).read_predictions()
            assert predictions is not None
            said = hashlib.sha256(predictions.probabilities.tobytes()).hexdigest()
            assert said == was["probabilities"]
