"""Bad input: one sentence, exit code 2, ten seconds at most, nothing left behind.

The table is made: every option of every verb that has a type or names, times values that it must
refuse; and every verb that reads a file, times contents that are no data, times endings. Of these a
drawn part is tried, of options and of files equally many. A few are tried as commands of their own.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from typer.models import OptionInfo

from .bad_values import ENDINGS, files, values_for
from .children import Ended, run, temporary_folder
from .kills import environment
from .photos import write_study
from .tally import Tally

SECONDS = 10.0
"""Of the processor: on an idle machine a command takes hardly more than these."""
HANGS = 300.0
"""Seconds after which a command is taken for one that waits for ever."""
OWN_COMMANDS = 5
"""Of a hundred cases, those that are tried with an interpreter of their own."""
VERBS: dict[str, tuple[str, ...]] = {
    "compare": ("compare", "photos", "--yes", "--no-live", "--no-probe"),
    "plan": ("plan", "photos", "--no-probe"),
    "train": ("train", "photos", "--yes", "--no-live"),
    "check": ("check", "photos"),
    "run": ("run", "S", "--yes", "--no-live"),
    "report": ("report", "S"),
    "predict": ("predict", "S", "photos"),
    "explain": ("explain", "S"),
    "stress": ("stress", "S"),
    "export": ("export", "S"),
    "audit": ("audit", "table.csv"),
    "serve": ("serve", "S"),
    "track": ("track", "S"),
    "cache": ("cache",),
    "bench": ("bench",),
}
"""Commands that are right, to which one wrong option is added."""
WEIGHTS = "weights.safetensors"
_INFER = ("infer", "--normalization", "bn", "--output_file", "out.csv")
READERS: dict[str, tuple[str, ...]] = {
    "compare": ("compare", "FILE", "--yes"),
    "plan": ("plan", "FILE"),
    "train": ("train", "FILE", "--yes"),
    "check": ("check", "FILE"),
    "run": ("run", "FILE", "--yes"),
    "status": ("status", "FILE"),
    "report": ("report", "FILE"),
    "verify": ("verify", "FILE"),
    "audit": ("audit", "FILE"),
    "predict": ("predict", "S", "FILE"),
    "predict with": ("predict", "FILE", "photos"),
    "explain": ("explain", "RUN", "FILE"),
    "explain study": ("explain", "FILE"),
    "stress": ("stress", "FILE"),
    "export": ("export", "FILE"),
    "serve": ("serve", "FILE"),
    "track": ("track", "FILE"),
    "course-report": ("course-report", "FILE"),
    "pairs": ("plan", "photos", "--pairs", "FILE"),
    "weights": ("plan", "photos", "--weights", "FILE", "--model", "resnet8"),
    "infer": (*_INFER, "--model_file", "FILE", "--test_data_file", "values.csv"),
    "infer values": (*_INFER, "--model_file", f"RUN/{WEIGHTS}", "--test_data_file", "FILE"),
    "stress data": ("stress", "S", "--data", "FILE"),
    "explain data": ("explain", "S", "--data", "FILE"),
    "export data": ("export", "S", "--data", "FILE"),
}
"""Commands that read a file."""
MAY_SUCCEED: dict[tuple[str, str], str] = {}
"""By verb and content: files that are data after all."""


@dataclass(frozen=True)
class Case:
    """One command that must be refused."""

    verb: str
    arguments: tuple[str, ...]
    content: str = ""
    """The name of what FILE holds; "" where the command names no such file."""

    def __str__(self) -> str:
        """As it would be typed, shortened."""
        text = " ".join(repr(a) if not a.isprintable() or " " in a or not a else a
                        for a in self.arguments)  # fmt: skip
        text = re.sub(r"(\w)\1{40,}", r"\1\1…", text)
        return f"normlab {text}" + (f" ({self.content})" if self.content else "")


def option_cases() -> Iterator[Case]:
    """Every option with every value that it must refuse."""
    from normlab.cli.main import find_verb

    for verb, command in VERBS.items():
        for name, hint in typing.get_type_hints(find_verb(verb), include_extras=True).items():
            kind, option = typing.get_args(hint)[:2] if hasattr(hint, "__metadata__") else (0, 0)
            if not isinstance(option, OptionInfo):
                continue
            words = [word for word in option.param_decls or () if word.startswith("--")]
            word = words[0] if words else f"--{name.replace('_', '-')}"
            for value in values_for(name, kind, option.min, option.max):
                yield Case(verb, (*command, f"{word}={value}"))


def file_cases() -> Iterator[Case]:
    """Every content under every ending for every verb that reads a file."""
    for content in files():
        for ending in ENDINGS:
            for verb, command in READERS.items():
                if (verb, content) not in MAY_SUCCEED:
                    name = f"bad{ending}"
                    arguments = tuple(a.replace("FILE", name) for a in command)
                    yield Case(verb, arguments, content)


def fault_of(case: Case, ended: Ended) -> str | None:
    """What is wrong with how a bad input was answered."""
    said = ended.out + ended.err
    fault: str | None
    if ended.code == -signal.SIGALRM:
        fault = f"had not ended after {ended.seconds:.0f} s"
    elif ended.work > SECONDS:
        fault = f"took {ended.work:.0f} s"
    elif "Traceback" in said:
        fault = f"traceback: {ended.err.strip().splitlines()[-1][:160]}"
    elif ended.code != 2:
        fault = f"exit {ended.code}: {(ended.err or ended.out)[-160:]!r}"
    elif not re.fullmatch(r"(network  [^\n]+\n)?normlab: [^\n]+\n", ended.err):  # whose network
        fault = f"no single sentence: {ended.err[:300]!r}"
    elif re.search(r"[\x00-\x08\x0b-\x1f\x7f]", said):
        fault = f"a control character is printed: {said[-200:]!r}"
    elif len(ended.err) > 1_500:
        fault = f"a sentence of {len(ended.err)} characters: {ended.err[:120]!r}"
    else:
        return None
    return f"{case}: {fault}"


def state(root: Path) -> dict[str, tuple[int, int]]:
    """Every file outside of the cache, with its size and the time of its last change."""
    found = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != "cache"]
        for name in [*names, *folders]:
            path = Path(folder, name)
            facts = path.lstat()
            is_file = name in names
            key = str(path.relative_to(root))
            found[key] = (facts.st_size, facts.st_mtime_ns) if is_file else (0, 0)
    return found


def try_case(case: Case, root: Path, *, own_command: bool = False) -> str | None:
    """One command in the folder, which must be as it was."""
    run_folder = next((root / "S" / "runs").iterdir()).relative_to(root)
    arguments = [a.replace("RUN", str(run_folder)) for a in case.arguments]
    written = None
    if case.content:
        name = next(a for a in arguments if a.startswith("bad"))
        written = root / name
        written.write_bytes(files()[case.content])
    before = state(root)
    if own_command:
        ended = _as_command(arguments, root)
    else:
        ended = run(arguments, root, within=HANGS, environment=environment(root))
    fault = fault_of(case, ended)
    after = state(root)
    if after != before:
        changed = [n for n in {**before, **after} if before.get(n) != after.get(n)]
        changed = [n for n in changed if not n.endswith(".lock")]
        if changed and fault is None:
            fault = f"{case}: left behind or changed {', '.join(sorted(changed)[:4])}"
        for name in after.keys() - before.keys():
            path = root / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(True)
    if written is not None:
        written.unlink()
    return fault


def _as_command(arguments: list[str], root: Path) -> Ended:
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    source = str(Path(__file__).parents[2] / "src")
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "normlab", *arguments],
        cwd=root, capture_output=True, text=True, errors="backslashreplace", check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment(root), "PYTHONPATH": path},
    )  # fmt: skip
    seconds, usage = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    work = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
    return Ended(done.returncode, done.stdout, done.stderr, seconds, work, ())


def torture(number: int, seed: int, say: Callable[[str], None]) -> list[Tally]:
    """So many cases, half of options and half of files."""
    tallies = []
    with temporary_folder() as root:
        write_study(root)
        (root / "table.csv").write_text("norm,accuracy\nbn,81.2\ngn,80.4\n")
        (root / "values.csv").write_text(",".join(["0"] * 192) + "\n")
        for kind, cases in (("options", [*option_cases()]), ("files", [*file_cases()])):
            random = np.random.default_rng([seed, len(kind)])
            share = min(-(-number // 2), len(cases))
            tally = Tally(f"inputs: {kind} (of {len(cases):,})", seed)
            for place, chosen in enumerate(random.permutation(len(cases))[:share]):
                case = cases[chosen]
                own = place % 100 >= 100 - OWN_COMMANDS
                fault = try_case(case, root, own_command=own)
                tally.count(fault, case.verb)
                say(f"{tally.kind}: {place} of {share}")
            tallies.append(tally)
    return tallies
