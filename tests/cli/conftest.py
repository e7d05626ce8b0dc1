"""The command line in this process: arguments in, exit code and both outputs out."""

from __future__ import annotations

import shutil
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.cli.main import main

CLASSES = ("bright", "dark", "striped")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    def assert_one_sentence(self, *parts: str) -> None:
        """Exit code 2 and one line on stderr that has all the parts."""
        assert self.code == 2, self.out + self.err
        assert self.err.startswith("normlab: "), self.err
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.out + self.err
        for part in parts:
            assert part in self.err


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in a folder of its own, with a cache of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def normlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """normlab("compare", "--demo") as if it had been typed."""

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["normlab", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        code = end.value.code
        return Result(code if isinstance(code, int) else 0 if code is None else 1, out, err)

    return call


def write_pictures(folder: Path, classes: tuple[str, ...] = CLASSES, per_class: int = 8) -> Path:
    """<folder>/<class>/<number>.png of 8×8, all different."""
    generator = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            pixels = generator.integers(0, 90, (8, 8, 3)) + 80 * (number % 3)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{index:02d}.png")
    return folder


@pytest.fixture
def make_pictures():
    return write_pictures


@pytest.fixture
def photos(scratch: Path) -> Path:
    """photos/ in the working folder."""
    return write_pictures(scratch / "photos")


TINY = (
    *("--norms", "bn,gn", "--blocks", "1", "--epochs", "1", "--image-size", "8"),
    *("--model", "resnet8", "--batch-sizes", "4", "--yes"),
)


@pytest.fixture
def tiny() -> tuple[str, ...]:
    """Options that make a study of a second."""
    return TINY


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos/ and the study that `compare photos` made of them, to be copied by each test."""
    folder = tmp_path_factory.mktemp("finished")
    write_pictures(folder / "photos")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()):
        patch.chdir(folder)
        patch.setenv("NORMLAB_CACHE", str(folder / "cache"))
        patch.setattr(sys, "argv", ["normlab", "compare", "photos", *TINY])
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code in (0, None)
    return folder


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies end without drawing their report, which is tested elsewhere and takes a second."""
    monkeypatch.setattr(
        "normlab.cli.session.conduct.write_report",
        lambda context, **_: context.study.folder / "report" / "index.html",
    )


@pytest.fixture
def study(finished: Path, photos: Path, scratch: Path) -> Path:
    """photos-study/ in the working folder, beside photos/."""
    return shutil.copytree(finished / "photos-study", scratch / "photos-study")
