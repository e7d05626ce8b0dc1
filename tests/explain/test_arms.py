"""Which run stands for an arm: settings are those of the study, factors of [training] included."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from normlab.explain.arms import choose_arms
from normlab.records.plan import parse_plan, write_plan
from normlab.records.run import DataSpec, Measures, OptimizerSpec, Outcome, RunSpec
from normlab.records.store import Predictions, RunFolder


def test_levels_of_a_varied_factor_are_settings_of_their_own(tmp_path: Path) -> None:
    """bn at 20 % without and 90 % with augmentation is not one arm of 55 %."""
    content = {
        "name": "x",
        "data": {"source": "x"},
        "factors": {"norm": ["bn", "gn"], "training": {"augmentation": ["none", "light"]}},
    }
    write_plan(parse_plan(content), tmp_path / "study.toml")
    reached = {("bn", "none"): 0.2, ("bn", "light"): 0.9, ("gn", "none"): 0.6, ("gn", "light"): 0.7}
    for (norm, augmentation), block in itertools.product(reached, range(2)):
        accuracy = reached[norm, augmentation] - 0.1 * block
        spec = RunSpec(
            arm=norm,
            block=block,
            data=DataSpec(fingerprint="x", classes=("a", "b"), image_size=64),
            norm=norm,
            optimizer=OptimizerSpec(learning_rate=0.1),
            augmentation=augmentation,
        )
        test = Measures(loss=1, accuracy=accuracy, micro_f1=accuracy, macro_f1=accuracy, images=2)
        folder = RunFolder(tmp_path / "runs" / spec.folder_name)
        folder.create(spec, {})
        shares = np.full((2, 2), 0.5, np.float32)
        folder.write_predictions(Predictions(np.array(["1", "2"]), np.array([0, 1]), shares))
        folder.write_outcome(Outcome(status="finished", epochs=0, test=test))
    chosen = choose_arms(tmp_path, ("all",))
    assert [run.record.spec.block for run in chosen] == [0, 0]
    assert [(run.arm, run.accuracy) for run in chosen] == [("bn", 0.9), ("gn", 0.7)]  # its own
    assert all(run.record.spec.augmentation == "light" for run in chosen)
    assert all("augmentation light" in run.setting for run in chosen)
