"""How the arms stand while a study runs: means so far, and when a block is complete.

What is said after a block is no verdict: before the first look of the plan it says so, afterwards
it repeats what the looks have ruled out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from statistics import fmean, stdev

from normlab.records.cells import Setting
from normlab.records.plan import StudyPlan
from normlab.records.run import Outcome, RunSpec
from normlab.stats.data.chance import chance_bound
from normlab.stats.data.metrics import chance_level, format_value, is_share, orientation
from normlab.text import isolated, join


@dataclass(frozen=True)
class Row:
    """One arm of a setting, as far as it has come."""

    arm: str
    mean: float | None
    """Of the primary metric on the test part, over the blocks that have ended."""
    sd: float | None
    blocks: int
    note: str
    """What else became of it: failed, dropped; empty where nothing did."""


class Standing:
    """Fed with outcomes, it says how the arms of every setting stand."""

    def __init__(self, plan: StudyPlan, specs: Iterable[RunSpec]) -> None:
        """All planned runs, of tuning or not, and nothing known of them."""
        self.plan = plan
        self.arms: dict[str, list[str]] = {}
        """The arms of each setting by its label, in the order of the plan."""
        self._expected: dict[int, set[tuple[str, str]]] = defaultdict(set)
        self._values: dict[tuple[str, str], dict[int, float | None]] = defaultdict(dict)
        self._chance: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        self._status: dict[tuple[str, str], str] = {}
        self._dropped: dict[tuple[str, str], int] = {}
        self._announced: set[int] = set()
        for spec in specs:
            if spec.is_tuning:
                continue
            setting, arm = self.key(spec)
            known = self.arms.setdefault(setting, [])
            if arm not in known:
                known.append(arm)
            self._expected[spec.block].add((setting, arm))

    def key(self, spec: RunSpec) -> tuple[str, str]:
        """The setting and the arm of a run."""
        return Setting.of(spec, self.plan).label, spec.arm

    def add(self, spec: RunSpec, outcome: Outcome) -> None:
        """A run has ended."""
        if spec.is_tuning or outcome.status == "interrupted":
            return
        key, metric = self.key(spec), self.plan.analysis.metric
        value = None
        if outcome.test is not None:
            value = float(getattr(outcome.test, metric))
            bound = chance_bound(1 / len(spec.data.classes), outcome.test.images)
            self._chance[key].append((outcome.test.accuracy, bound))
        elif outcome.status == "diverged":  # counted as guessing, as the verdict does
            value = chance_level(metric, len(spec.data.classes))
        if outcome.status not in ("finished", "stopped_early"):
            self._status[key] = outcome.status.replace("_", " ")
        self._values[key][spec.block] = value

    def drop(self, setting: str, dropped: Mapping[str, int], skipped: Set[tuple[str, int]]) -> None:
        """What looks have decided in a setting.

        Args:
            setting: its label.
            dropped: arm → blocks at the look that dropped it.
            skipped: arm and block of every run that is not needed any more.
        """
        self._dropped |= {(setting, arm): blocks for arm, blocks in dropped.items()}
        for arm, block in skipped:
            self._expected[block].discard((setting, arm))

    def newly_complete(self) -> list[int]:
        """The blocks that have become complete since the last call, counted from 0."""
        found = [
            block
            for block, cells in sorted(self._expected.items())
            if block not in self._announced and all(block in self._values[cell] for cell in cells)
        ]
        self._announced.update(found)
        return found

    def rows(self, setting: str) -> list[Row]:
        """The arms of a setting, the best mean first, those without one last."""
        sign = orientation(self.plan.analysis.metric)
        rows = [self._row(setting, arm) for arm in self.arms[setting]]
        return sorted(rows, key=lambda row: math.inf if row.mean is None else -sign * row.mean)

    def _row(self, setting: str, arm: str) -> Row:
        key = setting, arm
        values = [value for value in self._values[key].values() if value is not None]
        note = self._status.get(key, "")
        if key in self._dropped:
            note = f"dropped after block {self._dropped[key]}"
        return Row(
            arm,
            fmean(values) if values else None,
            stdev(values) if len(values) > 1 else None,
            len(self._values[key]),
            note,
        )

    def ranking(self, setting: str) -> str:
        """The arms with their means, the best first.

        Shares are printed in whole percent: more digits would promise more than one block holds.
        """
        metric = self.plan.analysis.metric
        parts = []
        for row in self.rows(setting):
            if row.mean is None:
                text = row.note or "–"
            elif is_share(metric):
                text = f"{100 * row.mean:.0f}"
            else:
                text = format_value(metric, row.mean)
            parts.append(f"{isolated(row.arm)} {text}")
        return "   ".join(parts)

    def only_guess(self, setting: str) -> bool:
        """Whether every arm that has results is at chance level so far."""
        found = [self._chance[setting, arm] for arm in self.arms[setting]]
        known = [results for results in found if results]
        return bool(known) and all(
            fmean(accuracy for accuracy, _ in results) <= results[0][1] for results in known
        )


def decided_words(arms: Sequence[str], best: Sequence[str]) -> str:
    """What the looks so far have decided, in a few words.

    >>> decided_words(["bn", "gn", "none"], ["bn", "gn"])
    'ruled out as best: none'
    >>> decided_words(["bn", "gn"], ["bn"]), decided_words(["bn", "gn"], ["bn", "gn"])
    ('bn is best', 'nothing ruled out yet')
    """
    if len(best) == 1:
        return f"{best[0]} is best"
    out = [arm for arm in arms if arm not in best]
    return f"ruled out as best: {join(out)}" if out else "nothing ruled out yet"
