"""What every arm was given for tuning, what it used, and what was chosen."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field

from normlab.records.run import Frozen, Seconds

Levels = dict[str, float]
"""Values of the tuned parameters: learning_rate, weight_decay."""


class Trial(Frozen):
    """One point, tried by one arm in one rung."""

    levels: Levels
    epochs: int = Field(ge=1)
    score: float
    """The metric on the validation part (its mean over the blocks of a tuning once for the study);
    chance level where it diverged."""
    status: str
    """finished, or what became of the runs that did not."""


class TunedArm(Frozen):
    """The tuning of one arm in one setting, in one block or once for all."""

    setting: str
    """The setting's label."""
    arm: str
    block: int | None = None
    """None: once for all blocks."""
    trials: tuple[Trial, ...]
    chosen: Levels
    at_edge: tuple[str, ...]
    """Parameters whose optimum seems to lie at or beyond the edge of what was tried."""
    runs: int = Field(ge=0)
    epochs: int = Field(ge=0)
    """Trained in all."""
    seconds: Seconds


class TuningResults(Frozen):
    """The account of a study's tuning: `tuning.json`."""

    metric: str
    blocks: tuple[int, ...]
    """The blocks that were used for tuning alone; none where every block is tuned by itself."""
    ranges: dict[str, tuple[float, float]]
    """After widening, over all settings."""
    arms: tuple[TunedArm, ...]

    def find(self, setting: str, arm: str, block: int) -> TunedArm | None:
        """The tuning of an arm that counts in a block, or None."""
        return self._index.get((setting, arm, block)) or self._index.get((setting, arm, None))

    @cached_property
    def _index(self) -> dict[tuple[str, str, int | None], TunedArm]:
        return {(entry.setting, entry.arm, entry.block): entry for entry in self.arms}

    def has(self, block: int) -> bool:
        """Whether the tuning of a block has ended."""
        return any(entry.block in (None, block) for entry in self.arms)
