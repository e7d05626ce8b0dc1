"""Does the effect of the norm depend on another factor? To be asked before any main effect.

With K arms, L levels of the other factor and n blocks, all crossed, the interaction is tested
against its own variation over blocks:

    F = MS(arm × level) / MS(arm × level × block),   df = (K−1)(L−1), (K−1)(L−1)(n−1)

with Greenhouse and Geisser's ε on both degrees of freedom, because arms and levels of one block do
not vary alike. Further factors are averaged over.

Source: Winer 1971, chapter 7; Greenhouse & Geisser 1959; checked against statsmodels' AnovaRM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from normlab.stats.data.pairing import PairedTable
from normlab.stats.data.setting import Setting
from normlab.stats.inference.intervals import SAME


@dataclass(frozen=True)
class Interaction:
    """Whether the differences between arms change with a factor."""

    factor: str
    levels: tuple[str, ...]
    arms: tuple[str, ...]
    blocks: int
    f: float
    df: tuple[float, float]
    """After Greenhouse and Geisser's correction."""
    epsilon: float
    p_value: float


def interactions(tables: Sequence[PairedTable]) -> tuple[Interaction, ...]:
    """One test a factor that has two or more levels among the settings.

    Over the arms, levels and blocks that are complete: an arm that misses a level is left out.
    """
    found = []
    for factor in varying_factors([table.setting for table in tables]):
        values, levels, arms = crossed(tables, factor)
        if min(values.shape, default=0) >= 2:
            found.append(_test(values, factor, levels, arms))
    return tuple(found)


def interaction_f(
    values: Float[np.ndarray, "arms levels blocks"],
) -> tuple[float, tuple[int, int], float]:
    """F, its uncorrected degrees of freedom, and ε; F is 0 where nothing varies at all."""
    arms, levels, blocks = values.shape
    effects = _double_centred(values)
    mean = effects.mean(2)
    df = (arms - 1) * (levels - 1)
    between = blocks * float((mean**2).sum()) / df
    within = float(((effects - mean[:, :, None]) ** 2).sum()) / (df * (blocks - 1))
    if within <= SAME**2:
        return (0.0 if between <= SAME**2 else np.inf), (df, df * (blocks - 1)), 1.0
    covariance = np.cov(effects.reshape(arms * levels, blocks))
    epsilon = float(np.trace(covariance) ** 2 / (df * (covariance**2).sum()))
    return between / within, (df, df * (blocks - 1)), min(max(epsilon, 1 / df), 1.0)


def _test(
    values: Float[np.ndarray, "arms levels blocks"],
    factor: str,
    levels: tuple[str, ...],
    arms: tuple[str, ...],
) -> Interaction:
    f, (df1, df2), epsilon = interaction_f(values)
    corrected = (epsilon * df1, epsilon * df2)
    return Interaction(
        factor=factor,
        levels=levels,
        arms=arms,
        blocks=values.shape[2],
        f=f,
        df=corrected,
        epsilon=epsilon,
        p_value=float(special.fdtrc(*corrected, f)),
    )


def _double_centred(
    values: Float[np.ndarray, "arms levels blocks"],
) -> Float[np.ndarray, "arms levels blocks"]:
    """What is left of each block when its arms' and its levels' means are taken out."""
    centred: Float[np.ndarray, "arms levels blocks"] = (
        values
        - values.mean(0, keepdims=True)
        - values.mean(1, keepdims=True)
        + values.mean((0, 1), keepdims=True)
    )
    return centred


def _levels(setting: Setting) -> dict[str, str]:
    """Every factor of a setting with its level, as text."""
    named = {
        "norm": setting.norm,
        "optimizer": setting.optimizer,
        "learning rate": setting.learning_rate,
        "batch size": setting.batch_size,
    }
    levels = {name: f"{level:g}" if isinstance(level, float) else str(level)
              for name, level in named.items() if level is not None}  # fmt: skip
    return levels | {name.replace("_", " "): level for name, level in setting.other}


def varying_factors(settings: Sequence[Setting]) -> list[str]:
    """The factors with two or more levels among the settings, in words."""
    seen: dict[str, dict[str, None]] = {}
    for setting in settings:
        for factor, level in _levels(setting).items():
            seen.setdefault(factor, {}).setdefault(level)
    return [factor for factor, levels in seen.items() if len(levels) >= 2]


def crossed(
    tables: Sequence[PairedTable], factor: str
) -> tuple[Float[np.ndarray, "arms levels blocks"], tuple[str, ...], tuple[str, ...]]:
    """The mean value of every arm, level and block, over combinations of the other factors that
    have every level, for the arms and blocks that are complete.

    Settings may have been decided after different numbers of blocks: those that all have count.
    """
    common = min(len(table.blocks) for table in tables)
    tables = [table.first(common) for table in tables]
    groups: dict[tuple[tuple[str, str], ...], dict[str, PairedTable]] = {}
    for table in tables:
        levels = _levels(table.setting)
        level = levels.pop(factor)
        groups.setdefault(tuple(sorted(levels.items())), {})[level] = table
    names = tuple(dict.fromkeys(_levels(table.setting)[factor] for table in tables))
    full = [group for group in groups.values() if len(group) == len(names)]
    if not full:  # no combination has every level: take the one that has most
        full = [max(groups.values(), key=len)]
        names = tuple(full[0])
    arms = tuple(
        arm
        for arm in full[0][names[0]].arms
        if all(arm in group[name].measured_arms() for group in full for name in names)
    )
    if not arms:
        return np.empty((0, len(names), 0)), names, arms
    stacked = np.array(
        [[[group[name].row(arm) for name in names] for arm in arms] for group in full]
    )
    complete = ~np.isnan(stacked).any(axis=(0, 1, 2))
    values: Float[np.ndarray, "arms levels blocks"] = stacked[..., complete].mean(0)
    return values, names, arms
