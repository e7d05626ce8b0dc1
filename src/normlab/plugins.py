"""Other people's parts: installed packages, and modules that a study names.

A package that is only installed is found by its entry points, in every process:

    [project.entry-points."normlab.norms"]
    half-mean = "half_mean:INFO"

A group is read once, when a name is looked up that normlab itself does not have, or all are listed.
A study may also name modules (`plugins = ["half_mean"]`), which every process of the study imports
before it makes anything. To import a module is to run its code: where the study was not begun by
this user, one that is not an installed entry point is imported only after somebody has agreed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from normlab.errors import NormlabError, PluginError

GROUPS = {
    "normlab.norms": "a norm: a normlab.NormInfo",
    "normlab.networks": "a network: a function that makes one",
    "normlab.executors": "an executor: an ExecutorInfo",
    "normlab.checks": "a check: what a decorator `check` makes",
    "normlab.sections": "a section of the report: a normlab.report.sections.base.Section",
    "normlab.trackers": "a tracker: a TrackerInfo",
}
"""What an entry point of each group gives: the thing itself, or a module that registers it."""
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@cache
def load_group(group: str) -> tuple[Any, ...]:
    """What the installed packages give for a group, each loaded once; modules have registered.

    Raises:
        PluginError: one of them cannot be imported.
    """
    assert group in GROUPS, group
    found = []
    for entry in _entry_points(group):
        try:
            found.append(entry.load())
        except Exception as error:
            raise PluginError(
                f"the plugin {entry.name!r} of {group} ({entry.value}) cannot be imported: "
                f"{_reason(error)}; repair or uninstall the package {_package(entry)}"
            ) from error
    return tuple(found)


def register_group(group: str, kind: type, register: Callable[[str, Any], object]) -> None:
    """Register what the installed packages give for a group; a module has done that by itself.

    It may be called again: `register` must leave out what it has registered before.

    Args:
        group: one of GROUPS.
        kind: what an entry point of the group gives; `object` where `register` looks at it.
        register: called with the entry point's name and the thing.

    Raises:
        PluginError: one cannot be imported, is not of this kind, or has a name that is taken.
    """
    for entry, thing in zip(_entry_points(group), load_group(group), strict=True):
        if isinstance(thing, type(importlib)):
            continue
        if not isinstance(thing, kind):
            raise PluginError(
                f"the plugin {entry.name!r} of {group} ({entry.value}) is not "
                f"{GROUPS[group]}, but {type(thing).__name__}; repair or uninstall the package "
                f"{_package(entry)}"
            )
        try:
            register(entry.name, thing)
        except NormlabError as error:
            raise PluginError(
                f"the plugin {entry.name!r} of {group} ({entry.value}): {error}"
            ) from error


def import_plugins(names: Sequence[str]) -> None:
    """Import modules that register something, in their order.

    Raises:
        PluginError: a module cannot be imported, or what it registers cannot be used.
    """
    for name in names:
        check_name(name)
        try:
            importlib.import_module(name)
        except NormlabError as error:
            raise PluginError(f"the plugin {name!r}: {error}") from error
        except Exception as error:
            raise PluginError(
                f"the plugin {name!r} cannot be imported: {_reason(error)}; install it, or correct "
                "its name"
            ) from error


def check_name(name: str) -> str:
    """The name of a module itself.

    Raises:
        PluginError: no module can have it.
    """
    if not _MODULE.fullmatch(name):
        raise PluginError(f"a plugin is a module's name, like my_package.norms; got {name!r}")
    return name


def use_plugins(
    names: Sequence[str],
    study: Path,
    plan_hash: str,
    *,
    trusted: bool = False,
    ask: Callable[[str], bool] | None = None,
) -> None:
    """Import the plugins of a study, once it is known that this user wants their code to run.

    That is known of installed entry points, of modules that this process has imported already, of
    studies that this user has begun or agreed to (see `approve`), or because `trusted` says so.
    Else `ask` is asked, where there is somebody.

    Raises:
        PluginError: nobody has agreed; a plugin cannot be imported.
    """
    for name in names:
        check_name(name)
    installed = (
        {entry.module for group in GROUPS for entry in _entry_points(group)} if names else ()
    )
    strange = [name for name in names if name not in installed and name not in sys.modules]
    if strange and not trusted and not _is_approved(study, plan_hash):
        listed = ", ".join(strange)
        if ask is None or not ask(f"{study} wants to run the code of {listed}. Import it?"):
            raise PluginError(
                f"{study} names the plugin {listed}, which is no installed entry point of normlab; "
                "if you trust its code, add --trust-plugins"
            )
    if strange:
        approve(study, plan_hash)
    import_plugins(names)


def approve(study: Path, plan_hash: str) -> None:
    """Remember for this user that the plugins of this study may be imported."""
    approved = {**_approved(), _key(study): plan_hash}
    path = _approvals()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(approved, indent=1, sort_keys=True), encoding="utf-8")
        partial.replace(path)
    except OSError:
        return  # it will be asked again


def _is_approved(study: Path, plan_hash: str) -> bool:
    return _approved().get(_key(study)) == plan_hash


def _key(study: Path) -> str:
    return hashlib.sha256(str(study.resolve()).encode()).hexdigest()


def _approvals() -> Path:
    import platformdirs

    return Path(
        os.environ.get("NORMLAB_CACHE") or platformdirs.user_cache_dir("normlab")
    ) / "approved-plugins.json"  # fmt: skip


def _approved() -> dict[str, str]:
    try:
        found = json.loads(_approvals().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@cache
def _entry_points(group: str) -> tuple[Any, ...]:
    from importlib.metadata import entry_points  # takes a while, and most commands need none

    return tuple(sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)))


def _package(entry: Any) -> str:
    return str(entry.dist.name if entry.dist is not None else entry.module.partition(".")[0])


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
