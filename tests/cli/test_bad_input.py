"""Everything in the issue's list of bad input: one sentence, exit code 2, nothing half-written."""

from __future__ import annotations

import errno
import os
import struct
import sys
import zlib
from io import StringIO
from pathlib import Path

import pytest

from normlab.cli.session import confirm

pytestmark = pytest.mark.usefixtures("no_report")


@pytest.fixture(autouse=True)
def nothing_is_written(scratch: Path):
    """After each test: no study folder, and no partial file anywhere below the working folder."""
    yield
    assert list(scratch.rglob("*.partial")) == []
    assert list(scratch.glob("*-study")) == []
    assert list(scratch.glob("*-run")) == []


# --- the data


def test_no_such_folder(normlab) -> None:
    normlab("compare", "fotos").assert_one_sentence("there is no", "fotos", "give a folder")


def test_an_empty_folder(normlab, scratch) -> None:
    (scratch / "photos").mkdir()
    normlab("compare", "photos").assert_one_sentence("holds no images", "one folder per class")


@pytest.mark.slow
def test_one_class(normlab, scratch, make_pictures) -> None:
    make_pictures(scratch / "photos", ("cat",))
    normlab("compare", "photos").assert_one_sentence("one class ('cat')", "at least two classes")


def test_images_without_class_folders(normlab, scratch, make_pictures) -> None:
    make_pictures(scratch / "photos", ("cat",))
    normlab("compare", "photos/cat").assert_one_sentence("not in folders", "one folder per class")


@pytest.mark.slow
def test_a_class_with_one_image(normlab, photos, make_pictures, tiny) -> None:
    (photos / "rare").mkdir()
    (photos / "dark" / "00.png").rename(photos / "rare" / "00.png")
    normlab("compare", "photos", *tiny).assert_one_sentence("class 'rare'", "1 image;", "remove")


def test_a_file_that_is_no_source(normlab, scratch) -> None:
    (scratch / "notes.txt").write_text("hello")
    normlab("compare", "notes.txt").assert_one_sentence("neither a folder", "zip")


@pytest.mark.slow
def test_a_text_file_called_jpg_is_left_out(normlab, photos, tiny, scratch) -> None:
    (photos / "dark" / "notes.jpg").write_text("not a picture")
    result = normlab("compare", "photos", "--strict", *tiny)
    result.assert_one_sentence("dark/notes.jpg is not an image", "--strict")
    result = normlab("compare", "photos", *tiny, "--out", "study")
    assert result.code == 0, result.err
    assert "check    1 unreadable, left out · " in result.out
    assert "dark/notes.jpg: is not an image" in result.out


@pytest.mark.slow
def test_loose_images_are_counted_and_named(normlab, photos, tiny) -> None:
    for number in range(7):
        (photos / f"loose{number}.png").write_bytes((photos / "dark" / "00.png").read_bytes())
    result = normlab("compare", "photos", "--strict", *tiny, "--out", "study")
    assert result.code == 0, result.err
    assert "check    7 outside the class folders, left out · " in result.out
    assert "loose0.png: lies in no class folder" in result.out
    assert "… and 2 more" in result.out


def test_archives_that_cannot_be(normlab, scratch) -> None:
    (scratch / "photos.tar.gz").write_bytes(b"\x1f\x8b\x08\x00 half")
    normlab("compare", "photos.tar.gz").assert_one_sentence("is no whole tar", "pack it again")
    (scratch / "photos.npz").write_bytes(b"PK half")
    normlab("train", "photos.npz").assert_one_sentence("is not a readable .npz", "save it again")


def test_a_missing_library(normlab, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    sentence = 'this needs datasets; install it with: pip install "normlab[hf]"'
    normlab("compare", "hf:me/pets").assert_one_sentence(sentence)
    normlab("compare", "hf:me/pets", "--download").assert_one_sentence(sentence)


def test_a_download_of_a_path(normlab, photos) -> None:
    result = normlab("compare", "photos", "--download")
    result.assert_one_sentence("--download is for torchvision:NAME and hf:NAME")


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and holds none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_decompression_bomb(normlab, photos, tiny) -> None:
    (photos / "dark" / "bomb.png").write_bytes(png_header(60_000, 60_000))
    result = normlab("compare", "photos", "--strict", *tiny)
    result.assert_one_sentence("dark/bomb.png", "px")


# --- names


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--norms", "bn,gnn"], "unknown norm 'gnn'; did you mean 'gn'?"),
        (["--norms", "bn,gn:group=8"], "unknown option of gn 'group'; did you mean 'groups'?"),
        (["--optimizers", "sdg"], "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        (["--model", "cifar-resnt14"], "network 'cifar-resnt14'; did you mean 'cifar-resnet14'?"),
        (["--model", "resnet50"], "write cifar-resnet50 for that of He et al. 2015"),
        (["--schedule", "cosin"], "unknown schedule 'cosin'; did you mean 'cosine'?"),
        (["--augmentation", "ligth"], "unknown augmentation 'ligth'; did you mean 'light'?"),
        (["--augmentation", "heavy"], "unknown augmentation 'heavy'; available: none"),
        (["--metric", "acc"], "--metric: unknown metric 'acc'; did you mean 'accuracy'?"),
        (["--vary", "foo=1,2"], "--vary: unknown training factor 'foo'; available: "),
        (["--device", "gpu"], "there is no device 'gpu' here; use --device cpu"),
        (["--reference", "ln", "--norms", "bn,gn"], "choose one of them with --reference"),
    ],
)
def test_unknown_names(normlab, options, sentence) -> None:
    """Found before the images are read: nothing of them is on the output yet."""
    result = normlab("compare", "--demo", *options)
    result.assert_one_sentence(sentence)
    assert result.out == ""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--norms", ","], "--norms: factor 'norm' has no level"),
        (["--norms", "bn,bn"], "--norms: factor 'norm' repeats a level, bn; list it once"),
        (["--alpha", "5"], "--alpha must be less than 0.5, got 5"),
        (["--looks", "9,3"], "--looks: looks must rise"),
        (["--out", "/proc/study"], "cannot write into /proc/study: "),
        (["--norms", "gn:groups=7"], "gn:groups=7 in cifar-resnet8"),
        (["--learning-rates", "fast"], "--learning-rates takes numbers with commas, got 'fast'"),
        (["--learning-rates", "-1"], "--learning-rates must be greater than 0, got -1"),
        (["--batch-sizes", "4.5"], "--batch-sizes takes numbers with commas, got '4.5'"),
        (["--image-size", "0"], "--image-size must be greater than or equal to 8, got 0"),
        (["--tune-range", "0.1,inf"], "--tune-range takes finite numbers"),
        (["--resize", "stretch"], "--resize must be 'squash', 'fit' or 'crop', got 'stretch'"),
        (["--precision", "float16"], "--precision must be 'float32' or 'bfloat16', got"),
        (["--margin", "0"], "--margin must be greater than 0, got 0"),
        (["--budget", "soon"], "a budget is like 10m, 1h or night, got 'soon'"),
    ],
)
def test_values_that_cannot_be_used(normlab, options, sentence) -> None:
    result = normlab("compare", "--demo", *options)
    result.assert_one_sentence(sentence)
    assert result.out == ""


def test_demo_together_with_a_folder(normlab, photos) -> None:
    normlab("compare", "photos", "--demo").assert_one_sentence("a folder of images, or --demo")


def test_neither_demo_nor_a_folder(normlab) -> None:
    normlab("compare").assert_one_sentence("a folder of images, or --demo")


def test_train_and_its_names(normlab) -> None:
    normlab("train", "demo:digits", "--norm", "gnn").assert_one_sentence("did you mean 'gn'?")
    minus = normlab("train", "demo:digits", "--learning-rate", "-1")
    minus.assert_one_sentence("--learning-rate must be greater than 0, got -1")
    normlab("train", "nowhere").assert_one_sentence("there is no")


# --- what cannot be trained


@pytest.mark.parametrize("budget", [[], ["--budget", "1h"]])
def test_a_batch_larger_than_the_training_part(normlab, photos, tiny, budget) -> None:
    result = normlab("compare", "photos", *tiny, "--batch-sizes", "64", *budget)
    result.assert_one_sentence("a batch of 64 is larger than the training part of 15 images")


def test_one_value_per_channel(normlab) -> None:
    """ResNet-18 ends at 1×1 for images of 32 px: a batch of 1 has no variance there."""
    options = ("--norms", "bn", "--model", "resnet18", "--image-size", "32", "--batch-sizes", "1")
    result = normlab("compare", "--demo", *options)
    result.assert_one_sentence("bn in resnet18 at batch 1 of 32 px")


def test_too_small_a_budget(normlab, photos) -> None:
    options = ("--norms", "bn", "--model", "resnet8", "--batch-sizes", "4", "--image-size", "8")
    result = normlab("compare", "photos", *options, "--budget", "0s")
    result.assert_one_sentence("the budget of 0 s is too small", "--budget")


# --- studies


def write_study(path: Path, extra: str = "", source: str = "photos") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'name = "tiny"\nblocks = 1\n{extra}\n[data]\nsource = "{source}"\nimage_size = 8\n'
        '[factors]\nnorm = ["bn"]\nbatch_size = [4]\nlearning_rate = [0.02]\n'
        '[training]\nepochs = 1\nnetwork.name = "resnet8"\n'
    )
    return path


def test_a_study_file_with_an_unknown_key(normlab, photos, scratch) -> None:
    write_study(scratch / "tiny.toml", "bloks = 3")
    normlab("run", "tiny.toml").assert_one_sentence("tiny.toml", "unknown key 'bloks'")


def test_a_study_file_that_is_no_toml(normlab, scratch) -> None:
    (scratch / "tiny.toml").write_text("name = ")
    normlab("run", "tiny.toml").assert_one_sentence("tiny.toml is not valid TOML")


def test_a_study_whose_images_are_elsewhere(normlab, scratch) -> None:
    write_study(scratch / "tiny.toml")
    normlab("run", "tiny.toml").assert_one_sentence("not at photos", "--data")


@pytest.mark.parametrize("verb", ["run", "status", "report"])
def test_no_study(normlab, scratch, verb) -> None:
    normlab(verb, "nowhere").assert_one_sentence("no study plan at", "normlab compare FOLDER")
    (scratch / "file").write_text("")
    assert normlab(verb, "file").code == 2


def test_a_study_that_was_never_started(normlab, photos, scratch) -> None:
    write_study(scratch / "begun" / "study.toml")
    result = normlab("status", "begun")
    result.assert_one_sentence("never started", "normlab run begun/study.toml")


@pytest.mark.slow
def test_a_study_folder_of_another_plan(normlab, photos, tiny, scratch) -> None:
    assert normlab("compare", "photos", *tiny, "--out", "study").code == 0
    before = {path: path.read_bytes() for path in (scratch / "study").rglob("*.toml")}
    result = normlab("compare", "photos", *tiny, "--seed", "1", "--out", "study")
    result.assert_one_sentence("another plan", "normlab run study", "--out")
    assert {path: path.read_bytes() for path in (scratch / "study").rglob("*.toml")} == before
    (photos / "dark" / "00.png").unlink()
    result = normlab("compare", "photos", *tiny, "--out", "study")
    result.assert_one_sentence("started on other data", "--out")
    result = normlab("run", "study", "--blocks", "4")
    result.assert_one_sentence("the images are not those")
    assert {path: path.read_bytes() for path in (scratch / "study").rglob("*.toml")} == before


def test_a_folder_that_is_no_study(normlab, photos, tiny, scratch) -> None:
    (scratch / "thesis").mkdir()
    (scratch / "thesis" / "chapter.txt").write_text("irreplaceable")
    result = normlab("compare", "photos", *tiny, "--out", "thesis")
    result.assert_one_sentence("not empty and holds no study", "--out")
    assert [path.name for path in (scratch / "thesis").iterdir()] == ["chapter.txt"]


def test_a_study_among_its_own_images(normlab, photos, tiny) -> None:
    result = normlab("compare", "photos", *tiny, "--out", "photos/study")
    result.assert_one_sentence("inside of the images", "--out")
    assert not (photos / "study").exists()


# --- disks


def test_an_unwritable_cache(normlab, photos, tiny, scratch, monkeypatch) -> None:
    (scratch / "file").write_text("")
    monkeypatch.setenv("NORMLAB_CACHE", str(scratch / "file" / "cache"))
    result = normlab("compare", "photos", *tiny)
    result.assert_one_sentence("the cache", "cannot be written", "set NORMLAB_CACHE")


def test_an_unwritable_study_folder(normlab, photos, tiny, scratch) -> None:
    (scratch / "file").write_text("")
    result = normlab("compare", "photos", *tiny, "--out", "file/study")
    result.assert_one_sentence("file/study")


def no_space(*args: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_too_full_for_the_images(normlab, photos, tiny, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", no_space)
    result = normlab("compare", "photos", *tiny)
    result.assert_one_sentence("the cache needs", "No space left on device", "NORMLAB_CACHE")
    assert list((tmp_path / "cache").rglob("*.u8")) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["study.toml", "epochs.jsonl", "state.ckpt", "outcome.json"])
def test_a_disk_that_is_full_later(normlab, photos, tiny, scratch, monkeypatch, name) -> None:
    """Each file of a study is the one for which there is no room; afterwards the study goes on."""
    flush = os.fsync

    def full(descriptor: int) -> None:
        if name in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            no_space()
        flush(descriptor)

    command = ("compare", "photos", *tiny, "--out", "study", "--norms", "bn")
    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        normlab(*command).assert_one_sentence("No space left on device")
    assert normlab(*command).code == 0
    assert len(list((scratch / "study" / "runs").glob("*/outcome.json"))) == 1


def test_an_error_of_the_disk_that_nobody_foresaw(normlab, photos, tiny, monkeypatch) -> None:
    monkeypatch.setattr(
        "normlab.cli.session.conduct.load_with_progress", lambda *_, **__: no_space()
    )
    normlab("compare", "photos", *tiny).assert_one_sentence("No space left on device")


# --- long work


def test_long_work_without_a_terminal(normlab, photos, tiny, monkeypatch) -> None:
    monkeypatch.setattr(confirm, "REFUSE_FROM", 0.0)
    monkeypatch.setattr(sys, "stdin", StringIO())
    result = normlab("compare", "photos", *tiny[:-1])
    result.assert_one_sentence("there is no terminal to ask", "--yes")


def test_long_work_that_is_declined(normlab, photos, tiny, monkeypatch) -> None:
    terminal = StringIO("n\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr(confirm, "ASK_FROM", 0.0)
    monkeypatch.setattr(sys, "stdin", terminal)
    result = normlab("compare", "photos", *tiny[:-1])
    assert result.code == 0
    assert "Nothing was started" in result.out
    assert result.err == ""


@pytest.mark.slow
def test_more_blocks_that_are_not_agreed_to(normlab, photos, tiny, scratch, monkeypatch) -> None:
    assert normlab("compare", "photos", *tiny, "--out", "study").code == 0
    before = (scratch / "study" / "study.toml").read_bytes()
    monkeypatch.setattr(confirm, "REFUSE_FROM", 0.0)
    monkeypatch.setattr(sys, "stdin", StringIO())
    normlab("run", "study", "--blocks", "3").assert_one_sentence("no terminal")
    assert (scratch / "study" / "study.toml").read_bytes() == before


@pytest.mark.slow
def test_options_that_a_begun_study_does_not_take(normlab, photos, tiny, scratch) -> None:
    assert normlab("compare", "photos", *tiny, "--out", "study").code == 0
    normlab("run", "study", "--out", "other").assert_one_sentence("leave --out away")
    again = normlab("compare", "photos", *tiny, "--out", "study", "--budget", "1h")
    assert again.code == 0
    assert "its size stays, --budget says how long to go on" in again.out


# --- predict


@pytest.mark.slow
def test_predict_without_a_run_or_images(normlab, scratch, photos, tiny) -> None:
    normlab("predict", "nowhere", "photos").assert_one_sentence("nowhere is not a run")
    normlab("predict", "nowhere", "nothing.png").assert_one_sentence("there is no nothing.png")
    assert normlab("compare", "photos", *tiny, "--out", "study").code == 0
    normlab("predict", "study", "photos", "--arm", "gm").assert_one_sentence("unknown finished arm")
    normlab("predict", "study", "photos", "--block", "7").assert_one_sentence("there are 1")
    run = next((scratch / "study" / "runs").iterdir())
    normlab("predict", run, "photos", "--arm", "bn").assert_one_sentence("is one run")
    (scratch / "empty").mkdir()
    normlab("predict", run, "empty").assert_one_sentence("empty holds no images")
    (scratch / "notes.png").write_text("hello")
    normlab("predict", run, "notes.png").assert_one_sentence("notes.png is not an image")
    (scratch / "values.csv").write_text("1,2,3\n1,2\n")
    result = normlab("predict", run, "values.csv", "--out", "classes.csv")
    result.assert_one_sentence("values.csv line 2 has 2 values")
    assert not (scratch / "classes.csv").exists()
    (scratch / "values.csv").write_text("")
    normlab("predict", run, "values.csv").assert_one_sentence("values.csv is empty")
    (scratch / "values.csv").write_bytes(b"\xff\xfe\x00")
    normlab("predict", run, "values.csv").assert_one_sentence("values.csv line 1 is not numbers")
    (run / "weights.safetensors").unlink()
    normlab("predict", run, "photos").assert_one_sentence("no weights at")
