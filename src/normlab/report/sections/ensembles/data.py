"""Ensembles and calibration: the table and the reliability diagram as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from normlab.report.charts.colours import Stroke
from normlab.report.export.formats import NOTHING, points, summary_cell
from normlab.report.export.table import Cell, Printed, Table
from normlab.stats.summary.ensembles import BINS, Ensemble, EnsembleTable
from normlab.text import count

FEWEST = 20
"""Predictions that a bin of the diagram needs: of fewer, the share that is right has a standard
error of more than √(¼ / 20) = 11 points, and a line through such bins only goes up and down."""
TOGETHER = "#3C78B4"
"""The colour of an ensemble that is of no single arm."""


@dataclass(frozen=True, eq=False)
class ReliabilityFigure:
    """Accuracy against confidence of members and ensemble, a panel an ensemble."""

    frame: pd.DataFrame
    """name, of (members, ensemble), confidence, accuracy, share of the images."""
    names: tuple[str, ...]
    colours: Mapping[str, str]
    description: str


@dataclass(frozen=True, eq=False)
class EnsembleView:
    """The table and the reliability diagram of one setting."""

    table: Table
    figure: ReliabilityFigure


def ensemble_view(found: EnsembleTable, strokes: Mapping[str, Stroke]) -> EnsembleView:
    """Make the table and the reliability diagram of one setting."""
    rows: list[tuple[Cell, ...]] = []
    drawn: list[tuple[object, ...]] = []
    for one in found.ensembles:
        name = f"{one.name}, all blocks" if one.kind == "blocks" else one.name
        rows.append(
            (
                name,
                one.members,
                *_both(one, "accuracy"),
                NOTHING if one.gain is None else points(one.gain),
                *(*_both(one, "loss"), *_both(one, "ece")),
            )
        )
        for of, bins in zip(("members", "ensemble"), one.reliability, strict=True):
            shares = bins.count / bins.count.sum()
            fewest = min(FEWEST, bins.count.max())
            rows_of = zip(bins.confidence, bins.accuracy, shares, strict=True)
            drawn += [
                (one.name, of, *values)
                for values, images in zip(rows_of, bins.count, strict=True)
                if images >= fewest
            ]
    columns = ["name", "of", "confidence", "accuracy", "share"]
    names = tuple(one.name for one in found.ensembles)
    return EnsembleView(
        table=Table(
            slug=f"ensembles-{found.setting.slug}",
            title="Ensembles: the mean of the probabilities",
            caption=(
                f"{found.setting}. {count(found.images, 'test image')}; accuracy and ECE in "
                f"percent, loss in nats; ± is over networks or blocks. ECE over {BINS} bins. Gain: "
                "accuracy of the ensemble minus the mean of its members, points, with a t interval "
                "over the images."
            ),
            head=("ensemble", "networks", "accuracy (%), members",
                  "accuracy (%), ensemble", "gain (points)", "loss, members", "loss, ensemble",
                  "ECE (%), members", "ECE (%), ensemble"),
            rows=tuple(rows),
        ),
        figure=ReliabilityFigure(
            frame=pd.DataFrame(drawn, columns=columns),
            names=names,
            colours={n: strokes[n].colour if n in strokes else TOGETHER for n in names},
            description=(
                f"Accuracy against confidence in {BINS} bins for the members and the ensembles of "
                f"{', '.join(names)}; a perfectly calibrated network lies on the diagonal."
            ),
        ),
    )  # fmt: skip


def _both(one: Ensemble, metric: str) -> tuple[Printed, Printed]:
    """The members' mean and the ensemble's."""
    return summary_cell(metric, one.member[metric]), summary_cell(metric, one.ensemble[metric])
