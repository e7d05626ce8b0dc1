"""The answer first: which arm to use, what is level with it, what not to use, what is open.

    USE    the arm that nothing is shown to beat; of several the reference, else the highest mean
    LEVEL  arms shown to be practically equal to it
    NOT    arms that some other arm is shown to beat, and by how much they lie below
    OPEN   the rest, and the command that would settle it

It says nothing that the verdict does not: every word follows from the decisions of the setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from normlab.records.network import is_own
from normlab.stats.data.layout import CellStatus
from normlab.stats.data.metrics import format_difference, is_share, orientation, unit
from normlab.stats.inference.comparison import INFERIOR, Comparison
from normlab.stats.inference.looks.state import EXPLORATORY_BELOW
from normlab.stats.summary.analysis import SettingAnalysis
from normlab.stats.summary.verdict_clauses import if_it_finishes, range_of_blocks, shown
from normlab.text import count, join, shell_command

HALF = 0.5
"""A difference of accuracy that may be larger than this is not known at all; t over three blocks
may say 10."""
ADDED = 5
"""Blocks that are proposed beyond a plan that has run to its end."""


WITHOUT_RESULT: tuple[CellStatus, ...] = ("failed", "out_of_memory")
"""Ways to end that leave no value to compare; one that diverged has the value of guessing."""


@dataclass(frozen=True)
class Recommendation:
    """What a person should do about one setting."""

    setting: str
    warning: str
    """What keeps all of it from being an answer; empty where nothing does."""
    use: str
    """An arm; empty where nothing can be recommended."""
    why: str
    level: tuple[str, ...]
    not_these: tuple[str, ...]
    not_why: str
    open: tuple[str, ...]
    settle: str
    """What would settle it, in words; empty where nothing is open."""
    command: str
    """The command that goes on; empty where nothing is open."""
    blocks: int = 0
    """Blocks to which it goes on; 0 where nothing is open."""

    @property
    def lines(self) -> Iterator[tuple[str, str, str]]:
        """Mark, arms and reason, a line each; the order is that of the reader's questions."""
        if self.warning:
            yield "FIRST", self.warning, ""
        if self.use:
            yield "USE", shown(self.use), self.why
        if self.level:
            yield "LEVEL", names(self.level), f"practically equal to {shown(self.use)}"
        if self.not_these:
            yield "NOT", names(self.not_these), self.not_why
        if self.open:
            yield "OPEN", names(self.open), self.settle


def names(arms: Sequence[str]) -> str:
    """Arms in a list, "none" in words."""
    return ", ".join(shown(arm) for arm in arms)


def recommend(setting: SettingAnalysis, study: str) -> Recommendation:
    """The recommendation for one setting.

    Args:
        setting: what was concluded of it.
        study: the folder as the user would type it, for the command that goes on.
    """
    verdict = setting.verdict
    chance = [arm for arm in verdict.arms if arm in setting.at_chance]
    warning = _warning(setting, chance)
    if len(verdict.arms) < 2 or verdict.blocks < 2 or len(chance) == len(verdict.arms):
        # more blocks of what only guesses would settle nothing
        command = "" if setting.only_guesses else _go_on(setting, study)
        blocks = 0 if setting.only_guesses else _next_blocks(setting)
        return Recommendation(
            setting.setting.label, warning, "", "", (), (), "", (), "", command, blocks
        )
    use = _chosen(setting)
    others = [arm for arm in verdict.arms if arm != use]
    pairs = {arm: verdict.comparison(arm, use) for arm in others}
    level = [a for a in others if a in verdict.best and _decided_equal(pairs[a])]
    not_these = [arm for arm in others if arm not in verdict.best]
    left = [arm for arm in others if arm in verdict.best and arm not in level]
    told = [arm for arm in left if arm not in chance]
    goes_on = bool(told) or (not left and verdict.blocks < EXPLORATORY_BELOW)
    return Recommendation(
        setting=setting.setting.label,
        warning=warning,
        use=use,
        why=_why(setting, use, not_these, left),
        level=tuple(level),
        not_these=tuple(not_these),
        not_why=_below(setting, use, [pairs[arm] for arm in not_these]),
        open=tuple(left),
        settle="; ".join(
            filter(None, (_settle(setting, [pairs[arm] for arm in told]), _guessing(left, chance)))
        ),
        command=_go_on(setting, study) if goes_on else "",
        blocks=_next_blocks(setting) if goes_on else 0,
    )


def _guessing(left: Sequence[str], chance: Sequence[str]) -> str:
    """What helps open arms that only guess: more blocks would only show it again."""
    guessing = [arm for arm in left if arm in chance]
    if not guessing:
        return ""
    who = f"{names(guessing)} " if len(guessing) < len(left) else ""
    return f"{who}at chance level, so not more blocks but other rates may help (--tune 4)"


def _chosen(setting: SettingAnalysis) -> str:
    """The arm to use: of those that nothing is shown to beat, and that learned anything."""
    verdict = setting.verdict
    best = [arm for arm in verdict.best if arm not in setting.at_chance] or verdict.best
    if len(best) == 1:
        return best[0]
    if verdict.reference in best and verdict.reference is not None:
        return verdict.reference
    means = {row.arm: row.test[verdict.metric].mean for row in setting.rows}
    sign = orientation(verdict.metric)
    known = [arm for arm in best if means.get(arm) is not None]
    return max(known or best, key=lambda arm: sign * (means.get(arm) or 0.0))


def _warning(setting: SettingAnalysis, chance: Sequence[str]) -> str:
    verdict = setting.verdict
    if not verdict.arms or not any(row.n for row in setting.rows):
        return _without_results(setting)
    if len(chance) == len(verdict.arms):
        return (
            "no arm is clearly above chance level, so there is no difference to see; "
            "train longer (--epochs), at other learning rates (--tune 4) or on larger images"
        )
    if len(verdict.arms) < 2:
        return "one arm has results, so there is nothing to compare it with"
    if verdict.blocks < 2:
        return "one block cannot tell a difference from luck"
    if verdict.exploratory:
        blocks = count(verdict.blocks, "block")
        if verdict.blocks < EXPLORATORY_BELOW:
            return f"a first impression from {blocks}; a decision takes {EXPLORATORY_BELOW}"
        return f"a first impression from {blocks}, not a decision"
    return ""


def _without_results(setting: SettingAnalysis) -> str:
    """No arm has a value: nothing has ended yet, or all that ended went wrong."""
    wrong = {
        status.replace("_", " "): sum(row.outcomes.get(status, 0) for row in setting.rows)
        for status in WITHOUT_RESULT
    }
    said = [f"{number} {status}" for status, number in wrong.items() if number]
    if not said:
        return "no run has finished yet"
    return f"no run that ended has a result: {join(said)}; each one's reason: normlab status"


def _why(setting: SettingAnalysis, use: str, not_these: Sequence[str], left: Sequence[str]) -> str:
    verdict = setting.verdict
    if len(verdict.best) == 1:
        finished = " in runs that finish" if if_it_finishes(verdict.comparisons, (use,)) else ""
        every = "every" if len(not_these) > 1 else "the"
        return f"{every} other arm is shown to be below it{finished}"
    if use == verdict.reference:
        return f"nothing is shown to beat it{_higher(setting, use, left)}"
    return "the highest mean of those that nothing is shown to beat" if left else "nothing beat it"


def _higher(setting: SettingAnalysis, use: str, left: Sequence[str]) -> str:
    """The open arm with the better mean, where there is one: the reference is not the best seen."""
    verdict = setting.verdict
    pairs = [verdict.comparison(arm, use) for arm in left]
    sign = orientation(verdict.metric)
    seen = [(sign * p.difference.mean, p.arm) for p in pairs if p and p.difference.mean is not None]
    gain, arm = max(seen, default=(0.0, ""))
    size = format_difference(verdict.metric, gain).lstrip("+")
    if gain <= 0 or float(size) == 0.0:
        return ""
    return f", though {shown(arm)} was {size} {unit(verdict.metric)} better so far"


def _decided_equal(pair: Comparison | None) -> bool:
    return pair is not None and pair.decision in ("practically equal", "too easy to tell apart")


def _below(setting: SettingAnalysis, use: str, pairs: Sequence[Comparison | None]) -> str:
    """How far the arms lie below the one to use, e.g. "lower by 4.0 to 9.1 points".

    Where one of them is not shown to be below that, the arms are named that are shown to beat it.
    """
    metric = setting.verdict.metric
    sizes = sorted(abs(p.difference.mean) for p in pairs if p and p.difference.mean is not None)
    if not sizes:
        return ""
    low, high = (format_difference(metric, size).lstrip("+") for size in (sizes[0], sizes[-1]))
    size = low if low == high else f"{low} to {high}"
    said = f"{'lower' if is_share(metric) else 'higher loss'} by {size} {unit(metric)}"
    others = [p.arm for p in pairs if p is not None and p.decision not in INFERIOR]
    if not others:
        return said
    beaten_by = {
        better
        for arm in others
        for better in setting.verdict.best
        if (pair := setting.verdict.comparison(arm, better)) and pair.decision in INFERIOR
    }
    return f"{said} than {shown(use)}; {names(others)} shown to be below {names(sorted(beaten_by))}"


def _settle(setting: SettingAnalysis, pairs: Sequence[Comparison | None]) -> str:
    """What the open arms may differ by, and how many blocks would settle it."""
    verdict = setting.verdict
    known = [pair for pair in pairs if pair is not None]
    if not known:
        return ""
    ends = [p.simultaneous or p.difference.interval for p in known]
    sign = orientation(verdict.metric)
    sides = [(sign * e.low, sign * e.high) for e in ends if e is not None]
    worse = max((-min(side) for side in sides), default=None)
    better = max((max(side) for side in sides), default=None)
    parts = []
    if worse is not None and better is not None:
        if is_share(verdict.metric) and max(worse, better) > _most(setting):
            parts.append("nothing can be said of the size of the difference yet")
        else:
            up, down = (
                format_difference(verdict.metric, side).lstrip("+−-") for side in (better, worse)
            )
            if better > 0 and worse > 0:
                parts.append(f"up to {up} better or {down} worse ({unit(verdict.metric)})")
            else:  # seen on one side, and yet not enough for a decision
                side = f"{up} to {down} worse" if better <= 0 else f"{down} to {up} better"
                parts.append(f"{side} so far ({unit(verdict.metric)}), not decided yet")
    forecasts = [pair.forecast for pair in known if pair.forecast is not None]
    if forecasts:
        parts.append(range_of_blocks(max(forecasts, key=lambda one: one.high or 10**6)))
    return "; ".join(parts)


def _most(setting: SettingAnalysis) -> float:
    """The size of a difference beyond which an interval says nothing.

    No arm can be worse by more than what the best one has, and half of everything is no size.
    """
    means = [row.test[setting.verdict.metric].mean for row in setting.rows]
    return min(HALF, max((mean for mean in means if mean is not None), default=HALF))


def _go_on(setting: SettingAnalysis, study: str) -> str:
    """What goes on, to the end of the plan or beyond it: a command, or a call in one's program."""
    if is_own(setting.verdict.metric):
        return f"own_study({study!r}, …, blocks={_next_blocks(setting)})"
    return shell_command("run", study, "--blocks", _next_blocks(setting))


def _next_blocks(setting: SettingAnalysis) -> int:
    looks = setting.verdict.decisions.looks
    last = looks[-1] if looks else 0
    done = max(setting.verdict.blocks, 0)
    return last if done < last else done + ADDED


def headline(recommendations: Sequence[Recommendation]) -> str:
    """One sentence over all settings, e.g. for the title of a message."""
    used = {one.use for one in recommendations if one.use}
    if not used:
        return recommendations[0].warning if recommendations else "nothing was compared"
    if len(used) == 1:
        return f"use {shown(used.pop())}"
    parts = [f"{shown(one.use)} at {one.setting}" for one in recommendations if one.use]
    return f"it depends: {join(parts)}"
