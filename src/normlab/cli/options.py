"""Options that also stand alone, and how values are read: lists, factors, devices, downloads."""

from __future__ import annotations

import csv
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from normlab.cli.screen.echo import echo
from normlab.data.locations import is_named
from normlab.errors import UsageError, shortened

if TYPE_CHECKING:
    from normlab.records.plan import StudyPlan

Value = TypeVar("Value")

Model = Annotated[
    str, typer.Option(help="A network that normlab networks lists, name:option=value,…")
]
Source = Annotated[
    str | None,
    typer.Argument(
        help="A folder with a folder per class, a CSV/TSV table, a zip or tar, an .npz, "
        "CIFAR's batches, torchvision:NAME or hf:NAME."
    ),
]
Out = Annotated[Path | None, typer.Option(help="The study's folder.", show_default="NAME-study")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before long work.")]
TrustPlugins = Annotated[
    bool,
    typer.Option("--trust-plugins", help="Import the modules that the study names, unasked."),
]
NetworkArm = Annotated[str, typer.Option(help="Whose network.", show_default="the recommended one")]
NetworkBlock = Annotated[
    int | None, typer.Option(min=1, help="Of which block.", show_default="the best on validation")
]
Device = Annotated[str, typer.Option(help="cpu or cuda; auto takes a GPU where there is one.")]


def split_list(text: str) -> tuple[str, ...]:
    """The parts between commas; a comma inside options of a norm (key=value) does not split.

    >>> split_list("bn,gn:groups=4,eps=1e-3,none")
    ('bn', 'gn:groups=4,eps=1e-3', 'none')
    """
    parts: list[str] = []
    for piece in (p.strip() for p in text.split(",")):
        if "=" in piece and ":" not in piece and parts:
            parts[-1] += f",{piece}"
        elif piece:
            parts.append(piece)
    return tuple(parts)


def split_names(values: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Names of classes, which may hold commas: between commas, in quotes, or one a value.

    >>> split_names(["dog, big"], ["cat", "dog, big"])
    ('dog, big',)
    >>> split_names(['"dog, big",cat', "bird"], ["cat", "dog, big"])
    ('dog, big', 'cat', 'bird')
    """
    found: list[str] = []
    for value in values:
        if value.strip() in known:
            found.append(value.strip())
        else:
            found += _names_in(value, known)
    return tuple(found)


def _names_in(value: str, known: Sequence[str]) -> list[str]:
    """The names between commas: known ones as they are, with commas of their own, else by quotes.

    >>> _names_in('pants, long & "blue",hat', ["hat", 'pants, long & "blue"'])
    ['pants, long & "blue"', 'hat']
    """
    pieces = value.split(",")
    found: list[str] = []
    start = 0
    while start < len(pieces):
        ends = range(len(pieces), start, -1)
        whole = next((e for e in ends if ",".join(pieces[start:e]).strip() in known), None)
        if whole is None and pieces[start].lstrip().startswith('"'):
            quoted = next(csv.reader([value], skipinitialspace=True), [])
            return [piece.strip() for piece in quoted if piece.strip()]
        end = whole or start + 1
        found.append(",".join(pieces[start:end]).strip())
        start = end
    return [name for name in found if name]


def split_numbers(text: str, kind: Callable[[str], Value], name: str) -> tuple[Value, ...]:
    """Numbers between commas.

    Raises:
        UsageError: a part is not a number of this kind, or not a finite one.
    """
    values = []
    for part in split_list(text):
        try:
            value = kind(part)
        except ValueError:
            raise UsageError(
                f"{name} takes numbers with commas, got {shortened(repr(part))}"
            ) from None
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name} takes finite numbers, got {shortened(repr(part))}")
        values.append(value)
    return tuple(values)


def split_factor(text: str) -> tuple[str, tuple[object, ...]]:
    """A further factor and its levels; a level that is a number becomes one.

    Raises:
        UsageError: there is no "=" in it.

    >>> split_factor("weight_decay=0,5e-4")
    ('weight_decay', (0, 0.0005))
    """
    name, sign, levels = text.partition("=")
    if not sign or not levels:
        raise UsageError(
            "--vary takes a factor and its levels, augmentation=none,light; got "
            f"{shortened(repr(text))}"
        )
    return name.strip().replace("-", "_"), tuple(_level(part) for part in levels.split(","))


def _level(text: str) -> object:
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if isinstance(value, int) or math.isfinite(value):
            return value
    return text.strip()


def fetch(location: str, *, download: bool) -> None:
    """Download a named data set if that was asked for, and say where it goes.

    Raises:
        UsageError: the location is a path, or the data set could not be fetched.
    """
    if not download:
        return
    if not is_named(location) or location.startswith("demo:"):
        raise UsageError(f"--download is for torchvision:NAME and hf:NAME, got {location}")
    from normlab.data.sources.download_folder import download_folder
    from normlab.data.sources.downloads import download as download_data

    echo(f"Download {location} into {download_folder(location)}")
    download_data(location)


def use_plugins(plan: StudyPlan, folder: Path, *, trusted: bool = False) -> None:
    """Import the plugins of a plan; ask first where they are a stranger's and a terminal is there.

    Raises:
        PluginError: nobody has agreed to that; a plugin cannot be imported.
    """
    from normlab.plugins import use_plugins

    ask = typer.confirm if sys.stdin.isatty() else None
    use_plugins(plan.plugins, folder, plan.hash, trusted=trusted, ask=ask)


def use_plugins_of(path: Path, *, trusted: bool = False) -> None:
    """Import the plugins of the study that a path is: its folder, or that of one of its runs.

    Raises:
        PluginError: nobody has agreed to that; a plugin cannot be imported.
    """
    from normlab.records.plan import read_plan

    for folder in (path, *path.resolve().parents[:2]):
        if (folder / "study.toml").is_file():
            use_plugins(read_plan(folder / "study.toml"), folder, trusted=trusted)
            return


def choose_device(name: str, *, deterministic: bool = False) -> str:
    """The device by name, set to deterministic algorithms on demand.

    Raises:
        UsageError: a device that this machine does not have.
    """
    import torch

    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu" or (name.startswith("cuda") and torch.cuda.is_available()):
        return name
    raise UsageError(f"there is no device {name!r} here; use --device cpu")
