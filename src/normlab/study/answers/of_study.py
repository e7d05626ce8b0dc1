"""What a study says so far, for Python and notebooks: its answer, its table, its networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.records.network import OWN_METRIC
from normlab.records.plan import StudyPlan
from normlab.stats.data.reading import StudyRecords, read_study
from normlab.stats.summary.analysis import Analysis, analyse_study
from normlab.stats.summary.chosen_run import chosen_run, recommendations
from normlab.stats.summary.recommendation import Recommendation, headline
from normlab.text import count, in_markup

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from normlab.study.answers.trained_network import TrainedNetwork


@dataclass(frozen=True)
class StudyVerdict:
    """What to use, what not, and what is open, for each setting of a study."""

    settings: tuple[Recommendation, ...]

    @property
    def use(self) -> str | None:
        """The arm to use; None where none can be named, or another one in another setting."""
        used = {one.use for one in self.settings}
        return next(iter(used)) or None if len(used) == 1 else None

    def __str__(self) -> str:
        lines = []
        for one in self.settings:
            if len(self.settings) > 1:
                lines.append(one.setting)
            lines += [f"{mark:<6} {arms}  {why}".rstrip() for mark, arms, why in one.lines]
            lines += [f"{'GO ON':<6} {one.command}"] if one.command else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{in_markup(str(self), lines=True)}</pre>"


class Answers:
    """The part of a study that only reads its records; see normlab.study.study.Study."""

    folder: Path
    plan: StudyPlan

    @property
    def verdict(self) -> StudyVerdict:
        """What can be said now: use, level, not, open; its text is what the terminal prints.

        Raises:
            PlanError: the study was not saved yet.
        """
        return StudyVerdict(recommendations(self._read()[1], self.folder))

    @property
    def best(self) -> str | None:
        """The arm to use; None where none can be named, or where it depends on the setting."""
        return self.verdict.use

    def table(self) -> pd.DataFrame:
        """A row an arm and setting, with the numbers of the terminal's table.

        Returns:
            Columns setting, arm, blocks, the metric's mean and sd over blocks on the test part;
            difference from the reference with the ends of the interval that belongs to the
            decision, the decision, and the time of a step over the reference's.

        Raises:
            PlanError: the study was not saved yet.
        """
        import pandas as pd

        analysis = self._read()[1]
        metric = analysis.plan.analysis.metric
        rows = []
        for setting in analysis.settings:
            for row in setting.rows:
                pair = row.comparison
                interval = None if pair is None else pair.interval
                rows.append(
                    {
                        "setting": setting.setting.label,
                        "arm": row.arm,
                        "blocks": row.n,
                        metric.removeprefix(OWN_METRIC): row.test[metric].mean,
                        "sd": row.test[metric].sd,
                        "difference": None if pair is None else pair.difference.mean,
                        "low": None if interval is None else interval.low,
                        "high": None if interval is None else interval.high,
                        "decision": None if pair is None else pair.decision,
                        "relative_time": row.relative_time,
                    }
                )
        return pd.DataFrame(rows)

    def network(
        self, arm: str | None = None, block: int | None = None, device: torch.device | str = "cpu"
    ) -> TrainedNetwork:
        """The trained network of an arm, ready for pictures.

        Args:
            arm: its name; the one to use by default.
            block: counted from 1; by default the one with the best validation accuracy.
            device: where it is to be.

        Returns:
            A module with its own preprocessing.

        Raises:
            UnknownNameError: no finished run has that arm.
            UsageError: no run is finished, or not in this block.
        """
        from normlab.study.answers.trained_network import TrainedNetwork

        records, analysis = self._read()
        run, _ = chosen_run(records, analysis, arm or "", block)
        return TrainedNetwork(run.folder, device)

    def _read(self) -> tuple[StudyRecords, Analysis]:
        records = read_study(self.folder)
        return records, analyse_study(records)

    def __repr__(self) -> str:
        if not (self.folder / "study.toml").exists():
            return f"<Study {self.folder}: not saved yet>"
        records, analysis = self._read()
        said = headline(recommendations(analysis, self.folder))
        return (
            f"<Study {self.folder}: {analysis.done} of {count(analysis.planned, 'run')} ended, "
            f"{count(records.plan.blocks, 'block')}; {said}>"
        )

    def _repr_html_(self) -> str:
        """The answer and the table, for a notebook."""
        if not (self.folder / "study.toml").exists():
            return f"<p>{in_markup(repr(self))}</p>"
        table = self.table().to_html(index=False, float_format="{:.3f}".format, na_rep="–")
        said = in_markup(repr(self).strip("<>"))
        return f"<p>{said}</p>{self.verdict._repr_html_()}{table}"
