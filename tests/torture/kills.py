"""SIGKILL at a seeded moment, and the same command again, until it has ended.

Half of the kills come before the n-th change of the file system, where n is drawn from the changes
that the undisturbed command makes (each phase as often as the others): they come again with the
seed. The others come after a drawn time. What the command leaves must be what the undisturbed one
leaves, byte by byte but for durations, and no epoch whose checkpoint is stored is trained again.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .children import Ended, descendants, kill, run, start, temporary_folder
from .photos import TINY, make_runs, write_photos, write_study
from .tally import Tally

DURATIONS = frozenset({"seconds", "images_per_second", "sha256", "files", "start", "end", "time"})
"""Keys of records that differ from time to time: durations, and checksums of what holds them."""
RECORDS = ("study.toml", "tuning.json", "data.json", "runs/", "tuning/")
TEXTS = (".json", ".jsonl", ".toml", ".csv", ".html", ".svg", ".md", ".tex", ".txt")
NOT_COMPARED = ("log.txt", ".lock", "look.html")
_MOMENTS = re.compile(rb'(?:created|seal) = "[^"]+"|Written by normlab \S+ in [^.]+\.')
"""When a plan was frozen, which its seal covers, and how long a check took."""
LIMIT = 1200.0
"""Seconds after which a command is taken for one that hangs, also on a machine that is busy."""


@dataclass(frozen=True)
class Scene:
    """A command that is killed."""

    name: str
    command: tuple[str, ...]
    result: str
    """The folder or file that it makes."""
    on_study: bool = False
    """Whether it works on the finished study S, whose records must stay as they are."""
    parts: tuple[str, ...] = ("",)
    """What of the result is compared: beginnings of paths in it."""
    workers: bool = False
    """Whether processes of their own make the runs."""
    entry: Callable[[], object] | None = None
    """What is called in place of the command."""


ONE_PICTURE = ("--images", "1", "--arms", "bn,gn")
ONE_RUN = (
    *("--epochs", "4", "--image-size", "8", "--model", "resnet8", "--batch-size", "4"),
    *("--no-live", "--yes"),
)


def study_scene(name: str, *options: str, workers: bool = False) -> Scene:
    """A comparison from the photographs to the report."""
    command = ("compare", "photos", *TINY, "--out", "S", *options)
    return Scene(name, command, "S", parts=RECORDS, workers=workers)


SCENES = (
    Scene("inline, a program", ("a program",), "S", parts=RECORDS, entry=make_runs),
    study_scene("inline, shared rate"),
    study_scene("inline, tuned", "--tune", "2"),
    Scene("inline, one run", ("train", "photos", *ONE_RUN, "--out", "S"), "S", parts=RECORDS),
    Scene("check", ("check", "photos", "--out", "C", "--fix", "C/fix.csv"), "C"),
    Scene("report", ("report", "S"), "S/report", on_study=True),
    Scene("stress", ("stress", "S", "--changes", "blur,batch"), "S/stress.jsonl", on_study=True),
    Scene("explain", ("explain", "S", *ONE_PICTURE), "S/explain", on_study=True),
    Scene("predict", ("predict", "S", "photos", "--out", "p.csv"), "p.csv", on_study=True),
    study_scene("processes", "--jobs", "2", workers=True),
)


def is_leftover(path: Path) -> bool:
    """Whether it is what a write leaves that was cut off."""
    return path.name.endswith(".partial") or path.name.startswith(".lease")


def content_of(path: Path, root: Path) -> bytes:
    """The bytes of a file without durations, and without the folder's name."""
    content = path.read_bytes()
    if path.suffix == ".pdf":  # the library that writes it numbers its objects by chance
        return content[:5] + content[-6:].strip()
    if path.suffix not in TEXTS:
        return content
    content = _MOMENTS.sub(b"", content.replace(str(root).encode(), b"ROOT"))
    if path.suffix == ".json":
        return json.dumps(_timeless(json.loads(content))).encode()
    if path.suffix == ".jsonl":
        lines = [_timeless(json.loads(line)) for line in content.splitlines()]
        return "\n".join(map(json.dumps, lines)).encode()
    return content


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items() if key not in DURATIONS}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def snapshot(root: Path, scene: Scene) -> dict[str, bytes]:
    """All that is compared of a scene's result, by its path."""
    result = root / scene.result
    if result.is_file():
        return {scene.result: content_of(result, root)}
    found = {}
    for path in sorted(result.rglob("*")):
        name = path.relative_to(result).as_posix()
        if path.is_file() and path.name not in NOT_COMPARED and name.startswith(scene.parts):
            found[name] = content_of(path, root)
    return found


def raw_records(root: Path) -> dict[str, bytes]:
    """The records of the study S as they are."""
    paths = [p for name in ("runs", "tuning") for p in (root / "S" / name).rglob("*")]
    return {str(p.relative_to(root)): p.read_bytes() for p in paths if p.is_file()}


def phase_of(name: str) -> str:
    """What the command was doing when it changed a file."""
    for beginning, phase in {
        "cache/": "preparation", "S/tuning/": "tuning", "S/runs/": "training", "C": "check",
        "S/report": "report", "S/stress": "stress", "S/explain": "explain", "p.csv": "predict",
        ".p.csv": "predict",
    }.items():  # fmt: skip
        if name.startswith(beginning):
            return phase
    return "planning"


def kept_epochs(study: Path) -> dict[Path, list[bytes]]:
    """The rows that a run has and goes on from, if it has not ended.

    The last one may lack its checkpoint, which is written after it.
    """
    found = {}
    for path in study.glob("*/*/epochs.jsonl"):
        lines = path.read_bytes().split(b"\n")[:-1]
        ended = (path.parent / "outcome.json").exists()
        found[path] = lines if ended else lines[:-1]
    return found


class Undisturbed:
    """What a scene leaves where nothing disturbs it, and what it changes on its way."""

    def __init__(self, scene: Scene, template: Path) -> None:
        """Run it once."""
        with temporary_folder() as root:
            prepare(root, scene, template)
            self.ended = begin(scene, root)
            if self.ended.code != 0:
                raise RuntimeError(f"{scene.name}: {self.ended.code}\n{self.ended.err}")
            self.files = snapshot(root, scene)
        self.by_phase: dict[str, list[int]] = {}
        for number, name in enumerate(self.ended.trace, start=1):
            self.by_phase.setdefault(phase_of(name), []).append(number)


def environment(root: Path) -> dict[str, str]:
    """A cache of the scene's own."""
    return {"NORMLAB_CACHE": str(root / "cache")}


def prepare(root: Path, scene: Scene, template: Path) -> None:
    """Photographs, and the finished study where the scene works on it."""
    if not scene.on_study:
        write_photos(root / "photos")
        return
    for name in ("photos", "S", "cache"):
        shutil.copytree(template / name, root / name)
    plan = root / "S" / "study.toml"
    plan.write_bytes(plan.read_bytes().replace(str(template).encode(), str(root).encode()))


def begin(scene: Scene, root: Path, **options: Any) -> Ended:
    """The scene's command in its folder; see `children.run` for the options."""
    own = {"within": LIMIT, "environment": environment(root), "entry": scene.entry}
    return run(scene.command, root, **own, **options)


def kill_once(
    scene: Scene, root: Path, undisturbed: Undisturbed, random: np.random.Generator
) -> tuple[Ended, str]:
    """The command with one SIGKILL on its way, and who is killed."""
    if scene.workers:
        return _kill_with_workers(scene, root, undisturbed.ended.seconds, random)
    if random.random() < 0.5:
        phase = sorted(undisturbed.by_phase)[random.integers(len(undisturbed.by_phase))]
        options: Mapping[str, Any] = {"die_at": int(random.choice(undisturbed.by_phase[phase]))}
    else:
        options = {"kill_after": random.uniform(0, undisturbed.ended.seconds), "everything": True}
    return begin(scene, root, **options), "the command"


def _kill_with_workers(
    scene: Scene, root: Path, seconds: float, random: np.random.Generator
) -> tuple[Ended, str]:
    """SIGKILL to the command, to one of its processes, or to all at once."""
    victim = str(random.choice(["the command", "a worker", "all"]))
    after = random.uniform(0, seconds)
    if victim != "a worker":
        child = start(scene.command, root, environment=environment(root))
        ended = child.end(within=LIMIT, kill_after=after, everything=victim == "all")
        return ended, victim

    child = start(scene.command, root, environment=environment(root))

    def shoot() -> None:
        found = descendants(child.pid)
        if found:
            kill(found[int(random.integers(len(found)))])

    timer = threading.Timer(after, shoot)
    timer.start()
    ended = child.end(within=LIMIT)
    timer.cancel()
    timer.join()
    return ended, victim


def try_scene(
    scene: Scene, undisturbed: Undisturbed, template: Path, random: np.random.Generator,
    tally: Tally, left: int,
) -> None:  # fmt: skip
    """Up to three kills of one study, then the command to its end, and the comparison."""
    with temporary_folder() as root:
        prepare(root, scene, template)
        before = raw_records(root) if scene.on_study else {}
        hit: list[str] = []
        faults: list[str] = []
        kept: dict[Path, list[bytes]] = {}
        for _ in range(min(int(random.integers(1, 4)), left)):
            ended, victim = kill_once(scene, root, undisturbed, random)
            if not ended.was_killed and victim != "a worker":
                break  # it was done before
            if victim == "a worker" and ended.code != 0:
                faults.append(f"a worker killed: exit {ended.code}: {ended.err[-200:]!r}")
            hit.append(phase_of(ended.trace[-1]) if ended.trace else "start")
            faults += lost_epochs(kept, root)
            kept = kept_epochs(root / "S")
        ended = begin(scene, root)
        if ended.code != 0:
            faults.append(f"then exit {ended.code}: {ended.err[-300:]!r}")
        else:
            faults += lost_epochs(kept, root)
            faults += differences(snapshot(root, scene), undisturbed.files)
        if scene.on_study and {k: v for k, v in raw_records(root).items() if k in before} != before:
            faults.append("the records were changed")
        faults += [f"left behind: {p.relative_to(root)}" for p in root.rglob("*") if is_leftover(p)]
        fault = f"killed in {', '.join(hit) or 'nothing'}: {'; '.join(faults)}" if faults else None
        for phase in hit:
            tally.count(fault, phase)
            fault = None
        if fault is not None:
            tally.count(fault, "none")


def lost_epochs(kept: Mapping[Path, list[bytes]], root: Path) -> list[str]:
    """The runs whose rows are not there any more, or were made again."""
    lost = []
    for path, rows in kept.items():
        now = path.read_bytes().split(b"\n") if path.exists() else []
        if now[: len(rows)] != rows:
            lost.append(f"{path.relative_to(root)} lost an epoch")
    return lost


def differences(found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> list[str]:
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} is new" for name in found if name not in expected]
    return faults + [f"{n} differs" for n in found if n in expected and found[n] != expected[n]]


def torture(number: int, seed: int, say: Callable[[str], None]) -> list[Tally]:
    """So many kills over all scenes, the scenes in turns."""
    tallies = {scene.name: Tally(f"kills: {scene.name}", seed) for scene in SCENES}
    with temporary_folder() as template:
        write_study(template)
        known: dict[str, Undisturbed] = {}
        turn = 0
        while (done := sum(tally.tried for tally in tallies.values())) < number:
            scene = SCENES[turn // 2 % len(SCENES) if turn % 2 else 0]  # the first is quick
            if scene.name not in known:
                known[scene.name] = Undisturbed(scene, template)
            random = np.random.default_rng([seed, turn])
            try_scene(
                scene, known[scene.name], template, random, tallies[scene.name], number - done
            )
            turn += 1
            say(f"kills: {done} of {number}")
    rest = [
        Tally("kills: ray", seed, skipped="its contract kills real nodes: make test-ray"),
        Tally("kills: slurm", seed, skipped="its contract kills real nodes: make test-slurm"),
    ]
    return [*tallies.values(), *rest]
