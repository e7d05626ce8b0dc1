"""Studies made of validation curves, and what is said of them, for tests of the words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import fabricate
from normlab.stats.data.layout import arrange
from normlab.stats.summary.analysis import analyse
from normlab.stats.summary.words.analysis_words import analysis_words

BLOCKS = 5


def make(curves, statuses=None, blocks=BLOCKS, gap=0.02, by_batches=None, sites=None, **more):
    """A study of curves: (arm, batch size) → function of block that gives a validation curve."""
    arms = tuple(dict.fromkeys(arm for arm, _ in curves))
    sizes = tuple(dict.fromkeys(size for _, size in curves))
    length = len(next(iter(curves.values()))(0))
    plan = fabricate.make_plan(norms=arms, blocks=blocks, batch_size=sizes, epochs=length,
                               **more)  # fmt: skip
    runs = []
    for (arm, size), curve in curves.items():
        for block in range(blocks):
            spec = fabricate.make_spec(plan, arm, block, batch_size=size)
            values = curve(block)
            status = (statuses or {}).get((arm, block), "finished")
            run = fabricate.make_run(spec, values[-1], status)
            rows = tuple(
                row.model_copy(update={"validation": fabricate.make_measures(value, 100_000)})
                for row, value in zip(run.rows, values, strict=False)
            )
            update = {}
            if run.outcome.train is not None:
                ahead = gap(block) if callable(gap) else gap
                end = fabricate.make_measures(values[-1] - 0.001 * (block % 2), 100_000)
                update = {
                    "train": fabricate.make_measures(end.accuracy + ahead, 100_000),
                    "test": end,
                    "validation": fabricate.make_measures(values[-1], 100_000),
                }
                if by_batches and arm in by_batches:
                    better = values[-1] + by_batches[arm](block)
                    update["validation_by_batches"] = fabricate.make_measures(better, 100_000)
                if sites and (arm, size) in sites:
                    found = run.outcome.norm_sites[0]
                    update["norm_sites"] = (found.model_copy(update={"values": sites[arm, size]}),)
            outcome = run.outcome.model_copy(update=update)
            runs.append(replace(run, rows=rows, outcome=outcome))
    return plan, runs


def say(plan, runs, **more):
    """The words of a study."""
    return analysis_words(analyse(plan, runs), arrange(plan, runs), **more)


def statements(words):
    """One statement of each kind."""
    found = [*words.across, *words.tries]
    for one in words.settings:
        found += [*one.seen, *one.why]
    return {one.kind: one for one in found}


def flat(level, wobble=0.0):
    """A curve that stands at a level; the noise alternates, and grows a little by block."""

    def curve(block):
        sign = np.array([1, -1] * 6)
        own = 0.0002 * np.sin(13 * block + 100 * level)  # no two arms differ by one number alone
        return level + own + 0.002 * block + wobble * (1 + 0.1 * block) * sign[:8]

    return curve


def rising(level, per_epoch):
    """A straight line up to a level."""
    return lambda block: (
        level + 0.002 * block - per_epoch * (1 + 0.05 * block) * np.arange(7, -1, -1)
    )
