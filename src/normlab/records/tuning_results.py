"""What every arm was given for tuning, what it used, and what was chosen."""

from __future__ import annotations

from normlab.records.run import Frozen

Levels = dict[str, float]
"""Values of the tuned parameters: learning_rate, weight_decay."""


class Trial(Frozen):
    """One point, tried by one arm on every tuning block in one rung."""

    levels: Levels
    epochs: int
    score: float
    """Mean of the metric on the validation parts; chance level where it diverged."""
    status: str
    """finished, or what became of the runs that did not."""


class TunedArm(Frozen):
    """The tuning of one arm in one setting."""

    setting: str
    """The setting's label."""
    arm: str
    trials: tuple[Trial, ...]
    chosen: Levels
    at_edge: tuple[str, ...]
    """Parameters whose chosen value is the lowest or highest that was tried."""
    runs: int
    epochs: int
    """Trained in all."""
    seconds: float


class TuningResults(Frozen):
    """The account of a study's tuning: `tuning.json`."""

    metric: str
    blocks: tuple[int, ...]
    """The numbers of the blocks that were used for tuning alone."""
    ranges: dict[str, tuple[float, float]]
    """After widening, over all settings."""
    arms: tuple[TunedArm, ...]

    def chosen(self, setting: str, arm: str) -> Levels:
        """What an arm was given; KeyError if it was not tuned."""
        for entry in self.arms:
            if (entry.setting, entry.arm) == (setting, arm):
                return entry.chosen
        raise KeyError(f"{arm} was not tuned in {setting}")
