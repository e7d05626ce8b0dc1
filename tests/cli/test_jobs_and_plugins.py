"""--jobs, --executor, --plugin on the command line, and signals before anything has begun."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

from normlab.norms import registry
from normlab.study.study import Study

SOME_NORM = """
import normlab
from normlab.norms.layers.batch import BatchNorm2d
normlab.register(normlab.NormInfo("mine", "mine", "", "", {}, 2, BatchNorm2d))
"""


@pytest.fixture
def some_norms(scratch, monkeypatch) -> str:
    """The name of a module that registers the norm "mine"."""
    monkeypatch.syspath_prepend(str(scratch))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(scratch), *sys.path]))
    (scratch / "some_norms.py").write_text(SOME_NORM)
    yield "some_norms"
    sys.modules.pop("some_norms", None)


@pytest.fixture
def fresh(normlab, some_norms):
    """`normlab`, as if in a process of its own: nothing is registered before or after."""

    def call(*arguments: object):
        sys.modules.pop(some_norms, None)
        with registry.temporary_norms():
            return normlab(*arguments)

    return call


def test_the_table_of_executors(normlab) -> None:
    lines = normlab("executors").out.splitlines()
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == ["inline", "processes", "ray", "slurm"]
    assert any("--executor slurm:[partition=gpu]" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--executor", "inlin"), ("unknown executor 'inlin'", "did you mean 'inline'?")),
        (("--executor", "inline", "--jobs", "2"), ("one run at a time", "--jobs is 2")),
        (("--executor", "inline:x"), ("takes no options", "'x'")),
        (("--jobs", "0"), ("number of runs at once",)),
        (("--plugin", "no_such_module"), ("the plugin 'no_such_module' cannot be imported",)),
        (("--plugin", "no/module"), ("a plugin is a module's name", "no/module")),
    ],
)
def test_what_cannot_be(normlab, photos, tiny, scratch, options, parts) -> None:
    normlab("compare", "photos", *tiny, *options).assert_one_sentence(*parts)
    assert not (scratch / "photos-study").exists()


def test_a_norm_that_is_none_is_one_sentence(fresh, photos, tiny, scratch, some_norms) -> None:
    text = SOME_NORM.replace(", BatchNorm2d)", ", lambda channels: 3)")
    (scratch / "some_norms.py").write_text(text)
    arguments = ("--norms", "bn,mine", "--plugin", some_norms)
    fresh("compare", "photos", *tiny, *arguments).assert_one_sentence("'mine' makes a int")
    assert not (scratch / "photos-study").exists()
    text = SOME_NORM.replace(", BatchNorm2d)", ", lambda channels: __import__('torch').nn.ReLU())")
    (scratch / "some_norms.py").write_text(text)
    fresh("compare", "photos", *tiny, *arguments).assert_one_sentence(
        "'mine' makes a ReLU, which is not called as a norm", "takes (x, residual=None"
    )
    assert not (scratch / "photos-study").exists()


@pytest.mark.slow
def test_a_plugin_of_ones_own_and_of_a_stranger(
    fresh, photos, tiny, scratch, some_norms, no_report
) -> None:
    """The author is not asked; whoever gets the study is, once."""
    arguments = ("--norms", "bn,mine", "--plugin", some_norms)
    result = fresh("compare", "photos", *tiny, *arguments)
    assert result.code == 0, result.err
    assert 'plugins = [\n    "some_norms",\n]' in (scratch / "photos-study/study.toml").read_text()
    assert fresh("run", "photos-study").code == 0
    (run,) = (scratch / "photos-study" / "runs").glob("*mine*")
    picture = next(photos.rglob("*.png"))
    assert fresh("predict", run, picture).code == 0
    shutil.move(scratch / "photos-study", scratch / "strangers")
    for command in (("run", "strangers"), ("predict", f"strangers/runs/{run.name}", picture)):
        fresh(*command).assert_one_sentence("names the plugin some_norms", "--trust-plugins")
        assert "some_norms" not in sys.modules
    assert fresh("run", "strangers", "--trust-plugins").code == 0
    assert fresh("predict", f"strangers/runs/{run.name}", picture).code == 0  # remembered
    assert fresh("report", "strangers").code == 0
    assert "some_norms" not in sys.modules


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there is no SIGUSR1 here")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_signals_are_heard_before_the_slow_imports(photos, tiny, scratch, name) -> None:
    code = f"""
import os, signal, sys
class Signalled:
    def find_spec(self, module, path=None, target=None):
        if module == "torch":
            os.kill(os.getpid(), signal.{name})
sys.meta_path.insert(0, Signalled())
from normlab.cli.main import main
main()
"""
    command = [sys.executable, "-c", code, "compare", "photos", *tiny]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert not (scratch / "photos-study").exists()


def test_fewer_blocks_are_refused(normlab, study) -> None:
    opened = Study.open(study)
    opened.set_blocks(3)
    before = (study / "study.toml").read_bytes()
    normlab("run", study, "--blocks", "2").assert_one_sentence("keeps its 3 blocks")
    assert (study / "study.toml").read_bytes() == before


def test_blocks_are_not_rewritten_while_the_study_runs(normlab, study, scratch) -> None:
    from normlab.study.lock import study_lock

    before = (study / "study.toml").read_bytes()
    with study_lock(study):
        normlab("run", study, "--blocks", "3").assert_one_sentence("another process is running")
    assert (study / "study.toml").read_bytes() == before
    assert Study.open(study).plan.blocks == 1
