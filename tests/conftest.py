"""What all tests share: a cache of their own, patient threads, and the photographs if there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# Before torch is imported: OpenMP's threads spin while they wait, and where another program has one
# of the cores they wait for a thread that is not running.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run in which every test was skipped has shown nothing: it fails like one without tests.

    Only where results are reported, which with pytest-xdist is not in the workers.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.config.option.collectonly:
        return
    executed = sum(len(reporter.stats.get(kind, ())) for kind in ("passed", "failed", "error"))
    if exitstatus == pytest.ExitCode.OK and not executed:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's cache of images."""
    os.environ["NORMLAB_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def waits() -> Any:
    """A context that collects the operations for which the CPU would wait for a GPU, by name.

    The meta device stands in for one. Collected are operations over several devices, but not copies
    that nothing waits for, and tensors made there of Python's numbers. To read a number of a tensor
    is an error on the meta device, which has none.
    """
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    seen: list[str] = []
    makers = (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor)

    def devices(*values: Any) -> set[str]:
        return {v.device.type for v in tree_leaves(values) if isinstance(v, torch.Tensor)}

    class Operations(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
            named = kwargs or {}
            found = function(*args, **named)
            if len(devices(args, named, found)) > 1 and not named.get("non_blocking"):
                seen.append(str(function))
            return found

    class Calls(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
            found = function(*args, **(kwargs or {}))
            if function in makers and devices(found) != {"cpu"}:
                seen.append(function.__name__)
            return found

    @contextlib.contextmanager
    def collect() -> Iterator[list[str]]:
        with Operations(), Calls():
            yield seen

    return collect()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Call it with a group, a name, "module:thing" and the thing: a package that is installed.

    Without a thing it is looked for where the entry point says.
    """
    from importlib import metadata

    from normlab import plugins

    class Entry(metadata.EntryPoint):
        def load(self) -> Any:
            return things[self.name] if self.name in things else super().load()

    def forget() -> None:
        plugins._entry_points.cache_clear()
        plugins.load_group.cache_clear()

    things: dict[str, Any] = {}
    found: list[metadata.EntryPoint] = []

    def install(group: str, name: str, value: str, thing: Any = None) -> None:
        found.append(Entry(name, value, group))
        if thing is not None:
            things[name] = thing

    monkeypatch.setattr(
        metadata, "entry_points", lambda group: [entry for entry in found if entry.group == group]
    )
    forget()
    yield install
    forget()


@pytest.fixture(scope="session")
def fabricate() -> ModuleType:
    """The maker of studies; see helpers/fabricate.py."""
    import fabricate

    return fabricate


@pytest.fixture(scope="session")
def libraries() -> ModuleType:
    """Copies of timm's and torchvision's classes; see helpers/library_copies.py."""
    import library_copies

    return library_copies


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs, beside the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the photographs in ../shared/data are not here")
    return folder
