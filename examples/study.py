"""A controlled study from Python: plan, runs, verdict. Stop it at any moment and start it again.

Run it with:

    python examples/study.py [FOLDER]       # default: digits-study
"""

from __future__ import annotations

import sys
from pathlib import Path

import normlab
from normlab.records.run import EpochRow, Outcome
from normlab.stats.summary.analysis import analyse

PLAN = {
    "name": "digits",
    "blocks": 2,
    "data": {"source": "demo:digits", "image_size": 8},
    "factors": [{"norm": ["bn", "gn"], "learning_rate": [0.02], "batch_size": [64]}],
    "training": {"network": {"name": "resnet8"}, "epochs": 2},
    "analysis": {"reference": "bn", "metric": "accuracy", "margin": 0.01},
}


def main() -> None:
    """Train two norms in two blocks, and print what can be said."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "digits-study")
    plan = normlab.StudyPlan.model_validate(PLAN)
    images = normlab.load_data(plan.data.source, plan.data.image_size)
    study = normlab.Study.create(folder, plan, images)  # an equal study is just opened
    for spec, event in study.run(images):
        if isinstance(event, EpochRow):
            accuracy = event.validation.accuracy
            print(f"{spec.arm} block {spec.block} epoch {event.epoch}: validation {accuracy:.3f}")
        elif isinstance(event, Outcome):
            print(f"{spec.arm} block {spec.block}: {event.status}")
    for setting in analyse(study.plan, study.records()).settings:
        print(setting.verdict.sentence)


if __name__ == "__main__":
    main()
