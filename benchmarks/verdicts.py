"""Error rates, powers and coverages of the study's decisions, simulated with its own code.

    python benchmarks/verdicts.py [--studies 1000] [--seed 0] [--short]

Every line names what it should be. A study is arms × blocks of accuracies: a block's own effect
(sd 1 point) and the noise of a run (sd .6 points, "sd" below), normal unless said otherwise. The
studies of the first part are judged as tables; `--records` studies of the last part are written to
disk as runs and read back. `--short` is what CI runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np

from normlab.records.tuning_results import Trial
from normlab.stats.data.reading import read_study
from normlab.stats.data.setting import Setting
from normlab.stats.inference.comparison import SUPERIOR, Comparison
from normlab.stats.inference.forecast import Rules, forecast
from normlab.stats.inference.interaction import interactions
from normlab.stats.inference.intervals import paired_difference
from normlab.stats.inference.looks.boundaries import every_block, level
from normlab.stats.inference.looks.margins import Margin
from normlab.stats.inference.looks.state import SettingRules
from normlab.stats.inference.new_images import image_claim
from normlab.stats.inference.sequential import sequential_decisions
from normlab.stats.inference.verdict import best_arms
from normlab.stats.summary.analysis import analyse
from normlab.study.tuning.fit import pick
from simulated import (
    BLOCK_SD,
    CHANCE,
    DIFFERENT,
    NEVER,
    NOISES,
    SD,
    decisions_of,
    differs,
    line,
    make_plan,
    make_table,
    normal,
    percent,
    study,
)


def false_alarms(args: argparse.Namespace) -> None:
    """Equal arms, judged after every block up to the cap."""
    for name, noise in NOISES.items():
        for arms in (2, 5) if args.short else (2, 3, 5, 7):
            for cap in (5, 10) if args.short else (3, 5, 8, 10, 20):
                random = np.random.default_rng([args.seed, arms, cap])
                wrong = sum(
                    differs(decisions_of(study(random, arms, cap, noise), NEVER))
                    for _ in range(args.studies)
                )
                line(f"A/A, {arms} arms, cap {cap}, {name}: any false decision",
                     percent(wrong, args.studies), "<= 5 % + 2 se")  # fmt: skip


def one_fails(args: argparse.Namespace) -> None:
    """An arm is better unless it fails: on average it is worse. Then one that never fails."""
    cells = [(0.01, rate) for rate in (0.05, 0.1, 0.2)] + [(0.2, 0.4), (0.35, 0.0)]
    for gain, rate in cells:
        for cap in (5, 10, 20):
            random = np.random.default_rng([args.seed, cap, int(100 * rate)])
            said = 0
            for _ in range(args.studies):
                values = study(random, 2, cap)
                values[0] -= gain
                values[1] = np.where(random.random(cap) < rate, CHANCE, values[1])
                said += decisions_of(values, NEVER).comparisons[0].decision == "better"
            line(f'an arm, {100 * gain:g} points better, fails in {100 * rate:.0f} %, cap {cap}: '
                 'called "better"', percent(said, args.studies),
                 "<= 5 % + 2 se" if rate else "often")  # fmt: skip


def one_better(args: argparse.Namespace) -> None:
    """One arm is better than four equal ones."""
    for sds in (2.0, 1.0):
        for cap in (20, 10):
            random = np.random.default_rng([args.seed, cap])
            alone = runs = wrong = 0
            for _ in range(args.studies):
                values = study(random, 5, cap)
                values[2] += sds * SD
                decisions = decisions_of(values, 0.01)
                alone += best_arms(tuple("abcde"), decisions.comparisons) == ("c",)
                wrong += any(not right(pair) for pair in decisions.comparisons)
                runs += (
                    sum(decisions.dropped.values())
                    + (5 - len(decisions.dropped)) * decisions.blocks
                )
            goals = (">= 98 %", "<= 45") if (sds, cap) == (2, 20) else ("", "")
            line(f"5 arms, one {sds:g} sd better, cap {cap}: it is the best alone",
                 percent(alone, args.studies), goals[0])  # fmt: skip
            line("  runs used", f"{runs / args.studies:.1f}", goals[1])
            line("  any false decision", percent(wrong, args.studies), "<= 5 %")


def right(pair: Comparison) -> bool:
    """Whether a decision is true where c is better and all others are equal."""
    if pair.decision not in DIFFERENT:
        return True
    return "c" in (pair.arm, pair.other) and (pair.arm == "c") == (pair.decision in SUPERIOR)


def equality(args: argparse.Namespace) -> None:
    """An arm that loses whole images, exactly the margin on average."""
    for images in (40, 100, 2000):
        for lost in (2.0, max(2.0, 0.02 * images)):
            for cap in (5, 20):
                random = np.random.default_rng([args.seed, images, cap])
                equal = 0
                for _ in range(args.studies):
                    base = np.round(0.8 * images + random.normal(0, 0.01 * images, cap))
                    values = np.array([base, base - random.poisson(lost, cap)]) / images
                    decisions = decisions_of(values, lost / images, images)
                    equal += decisions.comparisons[0].decision == "practically equal"
                line(f'{images} test images, {lost:g} lost = the margin, cap {cap}: "equal"',
                     percent(equal, args.studies), "<= 5 % + 2 se")  # fmt: skip


def coverage(args: argparse.Namespace) -> None:
    """How often the printed 95 % intervals hold the truth."""
    repeats = 2 * args.studies
    for blocks in (3, 5, 8, 10, 20):
        random = np.random.default_rng([args.seed, blocks])
        held = 0
        for _ in range(repeats):
            values = study(random, 2, blocks)
            interval = paired_difference(values[1] - values[0]).interval
            held += interval is not None and interval.low <= 0 <= interval.high
        line(f"claim (a), {blocks} blocks", percent(held, repeats), "93.5 to 96.5 %")
    for drift in (0.04, 0.15):
        for share in (0.0, 0.3, 0.7):
            for blocks in (3, 5, 8, 10, 20):
                random = np.random.default_rng([args.seed, blocks, int(10 * share)])
                held = sum(
                    new_images_covered(random, blocks, share, drift) for _ in range(args.studies)
                )
                name = f"claim (b), {blocks} blocks, 40 groups of 10, correlation {share:g}"
                line(f"{name}, block effects {drift:g}",
                     percent(held, args.studies), "93.5 to 96.5 %")  # fmt: skip


def new_images_covered(
    random: np.random.Generator, blocks: int, share: float, drift: float
) -> bool:
    """Whether the interval for new images holds no difference, where there is none."""
    groups = np.repeat(np.arange(40), 10)
    hard = math.sqrt(share) * random.normal(size=40)[groups]
    hard = hard + math.sqrt(1 - share) * random.normal(size=400)
    latent = (
        0.5 * hard + random.normal(0, drift, (blocks, 1)) + random.normal(0, 0.8, (blocks, 400))
    )
    claim = image_claim(np.sign(latent) * (np.abs(latent) > 0.9), 0.05, groups)
    return claim is not None and claim.interval.low <= 0 <= claim.interval.high


def more_blocks(args: argparse.Namespace) -> None:
    """Whether the range of blocks holds, from five blocks of twenty."""
    looks = every_block(20)
    left = [Rules(n, *(level(looks, n, 0.045),) * 2) for n in looks]
    for apart in (0.005, 0.01, 0.02):
        for sd in (0.0085, 0.015, 0.03):
            random = np.random.default_rng([args.seed, int(1e4 * sd), int(1e4 * apart)])
            held, total = 0, 0
            for _ in range(args.studies):
                values = np.array([np.zeros(20), random.normal(apart, sd, 20)])
                decisions = decisions_of(values, NEVER)
                if decisions.over and decisions.blocks <= 5:
                    continue
                d = values[1, :5]
                found = forecast(float(d.mean()), float(d.var(ddof=1)), 4.0, 5, left, None)
                low, high = (math.inf if end is None else end for end in (found.low, found.high))
                decided = decisions.comparisons[0].decision in DIFFERENT
                total += 1
                held += low <= (decisions.blocks - 5 if decided else math.inf) <= high
            line(f"{100 * apart:g} points apart, sd {100 * sd:g}: the range of blocks holds",
                 percent(held, total), ">= 80 %")  # fmt: skip


def families(args: argparse.Namespace) -> None:
    """Six settings, one of them with a real difference: false ones in any of the other five."""
    gated = shared = 0
    for number in range(args.studies):
        random = np.random.default_rng([args.seed, 6, number])
        tables = []
        for setting in range(6):
            values = study(random, 2, 8)
            values[1] += 3 * SD * (setting == 0)
            table = make_table(values)
            tables.append(replace(table, setting=Setting("sgd", 0.1, 2**setting)))
        (test,) = interactions(tables)
        for alpha in (0.05, 0.05 / 6):
            plan = make_plan(8, NEVER)
            rules = SettingRules(Margin(NEVER, None, True), CHANCE, alpha)
            wrong = any(differs(sequential_decisions(table, plan, rules)) for table in tables[1:])
            gated += wrong and alpha == 0.05 and test.p_value < 0.05
            shared += wrong and alpha != 0.05
    line("6 settings, gate by the interaction: a false decision somewhere",
         percent(gated, args.studies))  # fmt: skip
    line("6 settings, each at a sixth of alpha: a false decision somewhere",
         percent(shared, args.studies), "<= 5 % + 2 se")  # fmt: skip


def tuned_values(
    random: np.random.Generator, blocks: int, points: int, images: int, bend: float, *, once: bool
) -> np.ndarray:
    """Two equal arms, each at the rate that its own tuning chose; top of the curve at 0.03."""
    x = np.linspace(-3, 0, points)
    image_sd = math.sqrt(0.2 * 0.8 / images)
    lasting = random.normal(0, image_sd * math.sqrt(0.5), points)
    values = np.empty((2, blocks))
    chosen = np.zeros(2)
    for block in range(blocks):
        luck = lasting + random.normal(0, image_sd * math.sqrt(0.5), points)
        for arm in range(2):
            if block == 0 or not once:
                own = random.normal(0, math.hypot(SD, image_sd / 2), points)
                scores = 0.8 - bend / 100 * (x + 1.5) ** 2 + luck + own
                if once:
                    chosen[arm] = x[scores.argmax()]
                else:
                    tried = [
                        Trial(
                            levels={"learning_rate": 10.0**p},
                            epochs=1,
                            score=float(s),
                            status="finished",
                        )
                        for p, s in zip(x, scores, strict=True)
                    ]
                    chosen[arm] = math.log10(pick(tried, 1).levels["learning_rate"])
            values[arm, block] = 0.8 - bend / 100 * (chosen[arm] + 1.5) ** 2
    return values + random.normal(0, BLOCK_SD, blocks) + normal(random, 2, blocks)


def tuned(args: argparse.Namespace) -> None:
    """Equal arms that are tuned: once and frozen, or anew in every block."""
    cells = [
        (points, images, bend, cap)
        for points in (4, 8)
        for images in ((200,) if args.short else (60, 200, 1000))
        for bend in ((3.0,) if args.short else (1.0, 3.0))
        for cap in (5, 10)
    ]
    for points, images, bend, cap in cells:
        name = f"tuned A/A, {points} points, {images} images, bend {bend:g}, cap {cap}"
        for once, goal in ((True, ""), (False, "<= 5 % + 2 se")):
            random = np.random.default_rng([args.seed, points, images, cap])
            wrong = sum(
                differs(decisions_of(
                    tuned_values(random, cap, points, images, bend, once=once), NEVER
                ))
                for _ in range(args.studies)
            )  # fmt: skip
            line(f"{name}: {'once' if once else 'every block'}", percent(wrong, args.studies), goal)


def through_records(args: argparse.Namespace) -> None:
    """The same path that users take: run folders on disk, read back, judged."""
    fabricate = load_fabricate()
    wrong = alone = 0
    for number in range(args.records):
        for better in (0.0, 2 * SD):
            plan = fabricate.make_plan(
                norms=("bn", "gn", "bin"), blocks=8, epochs=1,
                analysis={"method": 2, "margin": 0.002},
            )  # fmt: skip
            effects = {"bn": 0.0, "gn": 0.0, "bin": 2 * better}
            runs = fabricate.make_runs(plan, effects=effects, seed=1000 * args.seed + number)
            with tempfile.TemporaryDirectory() as folder:
                fabricate.write_study(Path(folder), plan, runs)
                (setting,) = analyse(plan, read_study(Path(folder)).runs).settings
            if better:
                alone += setting.verdict.best == ("bin",)
            else:
                wrong += any(c.decision in DIFFERENT for c in setting.verdict.comparisons)
    line("records on disk, 3 equal arms, cap 8: any false decision",
         percent(wrong, args.records), "<= 5 % + 2 se")  # fmt: skip
    line("records on disk, one of 3 arms 4 sd better, cap 8: the best alone",
         percent(alone, args.records))  # fmt: skip


def load_fabricate() -> ModuleType:
    """The maker of studies of the tests."""
    path = Path(__file__).parents[1] / "tests" / "helpers" / "fabricate.py"
    spec = importlib.util.spec_from_file_location("fabricate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PARTS = (
    one_better, false_alarms, one_fails, equality, coverage, more_blocks, families, tuned,
    through_records,
)  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="few studies and cells, for CI")
    parser.add_argument("--only", choices=[part.__name__ for part in PARTS])
    args = parser.parse_args()
    if args.short:
        args.studies, args.records = min(args.studies, 40), min(args.records, 3)
    start = time.perf_counter()
    line("simulated", "found", "goal")
    for part in PARTS:
        if args.only in (None, part.__name__):
            part(args)
    print(f"{args.studies} studies a line, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
