"""Error rates, powers and coverages of the study's decisions, simulated with its own code.

    python benchmarks/verdicts.py [--studies 1000] [--seed 0]

Every line names what it should be. A study is arms × blocks of accuracies: a block's own effect
(sd 1 point) and the noise of a run (sd .6 points, "sd" below), normal unless said otherwise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from normlab.records.plan import StudyPlan, parse_plan
from normlab.stats.data.pairing import PairedTable
from normlab.stats.data.setting import Setting
from normlab.stats.inference.intervals import Interval, paired_difference
from normlab.stats.inference.new_images import image_claim
from normlab.stats.inference.pooled import error_term
from normlab.stats.inference.sequential import look_levels, run_race
from normlab.stats.inference.verdict import judge

ARMS, BLOCKS = 5, 10
SD, BLOCK_SD = 0.006, 0.01
Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The noise of a run."""
    return random.normal(0, SD, shape)


def unequal(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """One arm varies four times as much as the others."""
    noise = normal(random, shape)
    noise[..., 0, :] *= 4
    return noise


def heavy(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Student's t with 3 degrees of freedom, of the same sd."""
    return SD / np.sqrt(3) * random.standard_t(3, shape)


def make_plan(looks: tuple[int, ...], margin: float) -> StudyPlan:
    """The analysis of a simulated study; a tiny margin leaves no way into "practically equal"."""
    return parse_plan(
        {
            "name": "simulated",
            "blocks": BLOCKS,
            "data": {"source": "nowhere"},
            "analysis": {"reference": "a", "looks": looks, "margin": margin},
        }
    )


def make_table(values: np.ndarray) -> PairedTable:
    """One setting with these values."""
    arms = tuple("abcdefgh"[: len(values)])
    status = (("finished",) * values.shape[1],) * len(values)
    blocks = tuple(range(values.shape[1]))
    setting = Setting("sgd", 0.1, 32)
    return PairedTable(setting, "accuracy", "test", arms, blocks, values, status)


def simulate(
    random: np.random.Generator, effects: np.ndarray, noise: Noise = normal, blocks: int = BLOCKS
) -> np.ndarray:
    """Accuracies of one study, arms × blocks."""
    shape = (len(effects), blocks)
    return 0.8 + effects[:, None] + random.normal(0, BLOCK_SD, (1, blocks)) + noise(random, shape)


def line(name: str, value: str, goal: str = "") -> None:
    """One row of the table."""
    print(f"{name:<82} {value:>18}   {goal}", flush=True)


def percent(count: float, of: int) -> str:
    """A rate with its standard error."""
    rate = count / of
    return f"{100 * rate:.1f} % ± {100 * np.sqrt(rate * (1 - rate) / of):.1f}"


def false_alarms(args: argparse.Namespace) -> None:
    """A/A studies: five arms of one kind."""
    for name, noise in (
        ("", normal),
        (", one arm varies 4 times as much", unequal),
        (", heavy tails (t, 3 df)", heavy),
    ):
        for looks in ((4, 7, 10), (BLOCKS,)):
            random = np.random.default_rng(args.seed)
            plan = make_plan(looks, 1e-9)
            wrong = runs = 0
            for _ in range(args.studies):
                race = run_race(make_table(simulate(random, np.zeros(ARMS), noise)), plan)
                wrong += any(c.decision in ("better", "worse") for c in race.comparisons)
                runs += runs_used(race.dropped, race.blocks)
            label = (
                f"A/A, {ARMS} arms, looks {', '.join(map(str, looks))}{name}: any false decision"
            )
            line(label, percent(wrong, args.studies), "<= 5 %")
            if len(looks) > 1 and not name:
                line("  runs used, of 50", f"{runs / args.studies:.1f}")


def runs_used(dropped: dict[str, int], blocks: int) -> int:
    """Runs that a race of five arms took."""
    return sum(dropped.values()) + (ARMS - len(dropped)) * blocks


def one_better(args: argparse.Namespace) -> None:
    """One arm is better than four equal ones."""
    plan = make_plan((4, 7, 10), 0.01)
    for sds, goal in ((2.0, ">= 80 %"), (1.0, "")):
        random = np.random.default_rng(args.seed + 1)
        inside = isolated = runs = 0
        for _ in range(args.studies):
            effects = np.zeros(ARMS)
            effects[2] = sds * SD
            table = make_table(simulate(random, effects))
            race = run_race(table, plan)
            verdict = judge(table, plan, race)
            inside += "c" in verdict.best
            isolated += verdict.best == ("c",)
            runs += runs_used(dict(race.dropped), race.blocks)
        line(f"one arm {sds:g} sd better, looks 4, 7, 10: it is among the best",
             percent(inside, args.studies), "always" if sds == 2 else "")  # fmt: skip
        line("  it is the best alone", percent(isolated, args.studies), goal)
        line("  runs used, of 50 in the fixed design", f"{runs / args.studies:.1f}")


def equivalence(args: argparse.Namespace) -> None:
    """Arms exactly at the margin, and arms that are equal."""
    random = np.random.default_rng(args.seed + 2)
    for shift, name, goal in ((0.01, "exactly the margin apart", "<= 5 %"), (0.0, "equal", "")):
        plan = make_plan((4, 7, 10), 0.01)
        equal = 0
        for _ in range(args.studies):
            values = simulate(random, np.array([0.0, shift]))
            race = run_race(make_table(values), plan)
            equal += race.comparisons[0].decision == "practically equal"
        line(f'two arms {name}, looks 4, 7, 10: "practically equal"',
             percent(equal, args.studies), goal)  # fmt: skip


def coverage(args: argparse.Namespace) -> None:
    """How often the printed 95 % intervals hold the truth."""
    repeats = 4 * args.studies
    for blocks in (3, 5, 8, 10):
        random = np.random.default_rng(args.seed + blocks)
        paired = pooled = boot = 0
        for _ in range(repeats):
            values = simulate(random, np.zeros(ARMS), blocks=blocks)
            difference = values[1] - values[0]
            paired += holds(paired_difference(difference).interval)
            spread = error_term(make_table(values)).spread
            pooled += holds(paired_difference(difference, 0.05, spread).interval)
            draws = difference[random.integers(0, blocks, (200, blocks))].mean(1)
            low, high = np.quantile(draws, [0.025, 0.975])
            boot += low <= 0 <= high
        line(f"claim (a), {blocks} blocks: paired t", percent(paired, repeats), "93.5 to 96.5 %")
        line("  pooled over 5 arms where the guard allows it", percent(pooled, repeats),
             "93.5 to 96.5 %")  # fmt: skip
        line("  percentile bootstrap (not used)", percent(boot, repeats))
    for blocks in (3, 5, 8, 10):
        random = np.random.default_rng(args.seed + 100 + blocks)
        new = old = 0
        for _ in range(repeats):
            d = crossed(random, blocks, 400)
            claim = image_claim(d)
            assert claim is not None
            new += holds(claim.interval)
            old += holds(paired_difference(d.mean(1)).interval)
        line(f"claim (b), {blocks} blocks × 400 images: blocks and images",
             percent(new, repeats), "93.5 to 96.5 %")  # fmt: skip
        line("  blocks alone (not used for it)", percent(old, repeats))


def crossed(random: np.random.Generator, blocks: int, images: int) -> np.ndarray:
    """Differences of two arms, right − wrong, with an effect of each block and each image."""
    hard = random.normal(0, 0.5, (1, images))
    drift = random.normal(0, 0.04, (blocks, 1))
    latent = hard + drift + random.normal(0, 0.8, (blocks, images))
    return np.sign(latent) * (np.abs(latent) > 0.9)


def holds(interval: Interval | None) -> bool:
    """Whether zero is inside; blocks that tie exactly have no interval, which holds nothing."""
    return interval is not None and interval.low <= 0 <= interval.high


def peeking(args: argparse.Namespace) -> None:
    """What the looks are for."""
    random = np.random.default_rng(args.seed + 3)
    values = random.normal(0, 1, (50_000, BLOCKS))
    p_values = {n: stats.ttest_1samp(values[:, :n], 0, axis=1).pvalue for n in range(3, 11)}
    every = np.any([p < 0.05 for p in p_values.values()], axis=0)
    levels = look_levels((4, 7, 10), 0.05)
    ours = np.any(
        [p_values[n] < level for n, level in zip((4, 7, 10), levels, strict=True)], axis=0
    )
    line("one comparison, at .05 after each of 3 to 10 blocks (not used)", f"{every.mean():.1%}")
    each = ", ".join(f"{level:.5f}" for level in levels)
    line(f"  at looks 4, 7, 10 with levels {each}", f"{ours.mean():.1%}", "<= 5 %")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()
    line("simulated", "found", "goal")
    for part in (false_alarms, one_better, equivalence, coverage, peeking):
        part(args)
    print(f"{args.studies} studies a line ({4 * args.studies} for coverage), "
          f"{time.perf_counter() - start:.0f} s")  # fmt: skip


if __name__ == "__main__":
    main()
