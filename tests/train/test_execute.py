"""Runs on disk: outcomes, continuation after any death, the weights that were kept."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from normlab.errors import InterruptedRunError, StorageError, UsageError
from normlab.records.run import EpochRow
from normlab.records.store import RunFolder
from normlab.train.checkpoint import load_weights
from normlab.train.early_stopping import best_epoch, patience_is_over
from normlab.train.execute import execute
from normlab.train.fit import evaluate
from normlab.train.interrupt import StopRequest
from normlab.train.network import build_network


def run(spec, data, path: Path, **options) -> RunFolder:
    folder = RunFolder(path)
    list(execute(spec, data, folder, **options))
    return folder


def figures(rows) -> list[dict]:
    """What must repeat to the bit: everything but the clock."""
    clock = {"seconds", "images_per_second"}
    return [row.model_dump(exclude=clock) for row in rows]


def test_a_finished_run_has_everything(spec, make_data, tmp_path) -> None:
    data = make_data(spec)
    folder = run(spec, data, tmp_path / "run")
    record = folder.read()
    assert record.spec == spec
    assert record.outcome.status == "finished"
    assert record.outcome.reported_epoch == spec.epochs
    assert [row.epoch for row in record.rows] == [1, 2, 3, 4]
    assert record.outcome.validation == record.rows[-1].validation
    assert record.environment["libraries"]["torch"] == torch.__version__
    assert not folder.checkpoint_path.exists()
    predictions = folder.read_predictions()
    assert list(predictions.ids) == list(data.names("test"))
    np.testing.assert_allclose(predictions.probabilities.sum(1), 1, rtol=1e-5)
    right = predictions.probabilities.argmax(1) == predictions.labels
    assert right.mean() == pytest.approx(record.outcome.test.accuracy)


def test_the_stored_weights_reproduce_the_reported_figures(make_spec, make_data, tmp_path) -> None:
    """Peers: "best saved, last evaluated". The reported epoch is the best by selection."""
    spec = make_spec(epochs=12, patience=2, optimizer={"learning_rate": 0.2})
    data = make_data(spec)
    folder = run(spec, data, tmp_path / "run")
    outcome, rows = folder.read_outcome(), folder.read_rows()
    assert outcome.status == "stopped_early"
    assert len(rows) < 12
    assert outcome.reported_epoch == best_epoch(rows) == rows[-1].epoch - 2
    assert outcome.validation == rows[outcome.reported_epoch - 1].validation
    weights, stored_spec, _, _ = load_weights(folder.weights_path)
    network = build_network(stored_spec)
    network.load_state_dict(weights)
    measures, _ = evaluate(network, data.plain_batches("test"), spec)
    assert measures == outcome.test


def test_early_stopping_looks_at_selection_alone(make_spec, make_data, tmp_path) -> None:
    """The test part is read once, after the last epoch."""
    spec = make_spec(epochs=6, patience=2)
    data = make_data(spec)
    touched = []
    plain = data.plain_batches
    data.plain_batches = lambda part: touched.append(part) or plain(part)
    folder = run(spec, data, tmp_path / "run")
    epochs = len(folder.read_rows())
    assert touched == ["validation"] * epochs + ["validation"] * 2 + ["train", "test"]


def test_patience_on_rows() -> None:
    def rows(*accuracies: float) -> list[EpochRow]:
        def row(epoch: int, accuracy: float) -> EpochRow:
            measures = {"loss": 1, "micro_f1": 0, "macro_f1": 0, "images": 5}
            measures["accuracy"] = accuracy
            return EpochRow(
                epoch=epoch,
                learning_rate=1,
                train=measures,
                validation=measures,
                seconds=1,
                images_per_second=1,
            )

        return [row(i, a) for i, a in enumerate(accuracies, start=1)]

    assert best_epoch(rows(0.1, 0.5, 0.5, 0.4)) == 2
    assert patience_is_over(rows(0.1, 0.5, 0.5, 0.4), 2)
    assert not patience_is_over(rows(0.1, 0.5, 0.4), 2)
    assert not patience_is_over(rows(0.5, 0.1, 0.1, 0.1), None)


def test_divergence_is_an_outcome(make_spec, make_data, tmp_path) -> None:
    spec = make_spec(norm="none", optimizer={"learning_rate": 1e18}, schedule={"name": "constant"})
    outcome = run(spec, make_data(spec), tmp_path / "run").read_outcome()
    assert outcome.status == "diverged"
    assert outcome.is_final
    assert outcome.error == f"the training loss is not finite in epoch {outcome.epochs + 1}"


def test_divergence_in_the_last_step_is_one_too(make_spec, make_data, tmp_path) -> None:
    """The training loss is that of the weights before the step."""
    spec = make_spec(
        norm="none",
        optimizer={"learning_rate": 1e18},
        schedule={"name": "constant"},
        batch_size=50,
        epochs=1,
    )
    folder = run(spec, make_data(spec), tmp_path / "run")
    assert len(folder.read_rows()) == 1
    outcome = folder.read_outcome()
    assert (outcome.status, outcome.epochs, outcome.test) == ("diverged", 0, None)
    assert outcome.error == "the validation loss is not finite in epoch 1"
    assert not folder.weights_path.exists()


@pytest.mark.parametrize("norm", ["bn", "bn:virtual_batch=8"])
def test_a_last_batch_without_statistics_of_its_own(make_spec, make_data, tmp_path, norm) -> None:
    """One image of 1×1 maps has none; the measurement is left out, and the run finished."""
    spec = make_spec(norm=norm)
    data = make_data(spec)
    data.parts = {name: (x[..., :4, :4], y) for name, (x, y) in data.parts.items()}
    data.parts["validation"] = tuple(values[:9] for values in data.parts["validation"])
    outcome = run(spec, data, tmp_path / "run").read_outcome()
    assert outcome.status == "finished"
    assert outcome.validation_by_batches is None
    assert outcome.test is not None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "out_of_memory",
        ),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (ValueError("something else"), "failed"),
    ],
)
def test_errors_become_outcomes_and_the_run_can_go_on(
    error, status, spec, make_data, tmp_path
) -> None:
    batches = []

    def broken(images: int) -> None:
        batches.append(images)
        if len(batches) == 5:
            raise error

    data = make_data(spec)
    folder = run(spec, data, tmp_path / "run", on_batch=broken)
    assert folder.read_outcome().status == status
    assert not folder.read_outcome().is_final
    assert type(error).__name__ in (folder.path / "log.txt").read_text()
    run(spec, data, folder.path)
    assert folder.read_outcome().status == "finished"


@pytest.mark.slow
def test_a_full_disk_is_raised_and_leaves_no_half_file(
    spec, make_data, tmp_path, monkeypatch
) -> None:
    data = make_data(spec)
    replace = Path.replace

    def full(self, target):
        if Path(target).name == "state.ckpt":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="No space left on device; free some space"):
        run(spec, data, tmp_path / "run")
    monkeypatch.undo()
    assert not list((tmp_path / "run").rglob("*.partial"))
    folder = run(spec, data, tmp_path / "run")
    assert figures(folder.read_rows()) == figures(run(spec, data, tmp_path / "b").read_rows())


def test_missing_weights_are_an_error_and_never_random(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"no weights at .*finish the run first"):
        load_weights(tmp_path / "weights.safetensors")
    (tmp_path / "weights.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(StorageError, match="damaged or not a normlab file"):
        load_weights(tmp_path / "weights.safetensors")


def test_a_stop_request_ends_between_two_batches() -> None:
    usual = signal.getsignal(signal.SIGINT)  # ignored, where the tests run in the background
    with StopRequest().listening() as stop:
        before = signal.getsignal(signal.SIGINT)
        numbers = stop.between(range(10))
        assert [next(numbers), next(numbers)] == [0, 1]
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(InterruptedRunError):
            next(numbers)
        assert signal.getsignal(signal.SIGINT) is not before  # the next one is not held back
    assert signal.getsignal(signal.SIGINT) is usual


@pytest.mark.slow
def test_interrupted_equals_undisturbed(make_spec, make_data, tmp_path) -> None:
    """Peers: "resume loses optimizer state, RNG, patience"."""
    spec = make_spec(norm="bin", epochs=6, patience=4)
    data = make_data(spec)
    whole = run(spec, data, tmp_path / "whole")
    cut = RunFolder(tmp_path / "cut")
    for stop_after in (5, 3, 11):
        stop = StopRequest()

        def limited(images: int, stop=stop, left=[stop_after]) -> None:  # noqa: B006
            stop.check()
            left[0] -= images > 0
            stop.is_set = left[0] <= 0

        list(execute(spec, data, cut, on_batch=limited))
        assert cut.read_outcome().status == "interrupted"
    run(spec, data, cut.path)
    assert figures(cut.read_rows()) == figures(whole.read_rows())
    same(whole, cut)


class Counting:
    """The batches of training that are computed, by a stop after some of them."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error
        self.made = 0

    def after(self, batches: int):
        """An `on_batch` that raises the error once so many batches of 8 have been trained."""
        left = batches

        def on_batch(images: int) -> None:
            nonlocal left
            self.made += images == 8
            left -= images == 8
            if left <= 0:
                raise self.error("stopped")

        return on_batch


class Killed(BaseException):
    """Nobody catches it: what is on disk then is what a kill leaves."""


@pytest.mark.parametrize(("error", "seconds"), [(InterruptedRunError, 1e9), (Killed, 0.0)])
def test_an_epoch_goes_on_from_its_last_batch(
    make_spec, make_data, tmp_path, monkeypatch, error, seconds
) -> None:
    """In order at once, and after a kill from the last checkpoint, here after every batch."""
    monkeypatch.setattr("normlab.train.execute.CHECKPOINT_SECONDS", seconds)
    spec = make_spec(norm="bin", epochs=3)
    data = make_data(spec)
    monkeypatch.setattr(data, "plain_batches", lambda part: iter([data.parts[part]]))
    whole = run(spec, data, tmp_path / "whole")
    cut, counting, stops = RunFolder(tmp_path / "cut"), Counting(error), 0
    while cut.read_outcome() is None or not cut.read_outcome().is_final:
        before = counting.made
        with contextlib.suppress(Killed):
            list(execute(spec, data, cut, on_batch=counting.after(4)))
        stops += 1
        assert counting.made > before
    assert stops >= 3
    # A kill comes before the checkpoint of its own batch; nothing else is trained twice.
    assert counting.made == 3 * data.steps_per_epoch + (error is Killed) * (stops - 1)
    assert figures(cut.read_rows()) == figures(whole.read_rows())
    assert cut.read_layer_diagnostics() == whole.read_layer_diagnostics()
    same(whole, cut)


def same(one: RunFolder, other: RunFolder) -> None:
    """Raise unless the two runs ended with the same weights and figures, to the bit."""
    # Digests: with CI set, pytest would spend minutes on the difference of two long byte strings.
    a, b = (hashlib.sha256(f.weights_path.read_bytes()).hexdigest() for f in (one, other))
    assert a == b
    a, b = (f.read_outcome().model_dump(exclude={"seconds"}) for f in (one, other))
    assert a == b


def test_the_comparison_can_fail(make_spec, make_data, tmp_path) -> None:
    one, other = make_spec(), make_spec(block=1)
    with pytest.raises(AssertionError):
        same(run(one, make_data(one), tmp_path / "a"), run(other, make_data(other), tmp_path / "b"))


KILLED = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from conftest import ToyData, toy_spec
    from normlab.records.store import RunFolder
    from normlab.train.execute import execute
    spec = toy_spec(norm="bin", epochs=30)
    print("ready", flush=True)
    list(execute(spec, ToyData(spec), RunFolder(Path(sys.argv[2]))))
    """
)


@pytest.mark.slow
def test_killed_at_random_moments_equals_undisturbed(make_spec, make_data, tmp_path) -> None:
    """SIGKILL, again and again; the run goes on each time and ends with the same bits."""
    spec = make_spec(norm="bin", epochs=30)
    whole = run(spec, make_data(spec), tmp_path / "whole")
    cut = RunFolder(tmp_path / "cut")
    here = str(Path(__file__).parent)
    moments = random.Random(0)
    kills = 0
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, here, str(cut.path)], stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"ready\n"
        time.sleep(moments.uniform(0.02, 0.5))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        process.stdout.close()
    assert kills >= 3
    run(spec, make_data(spec), cut.path)
    assert figures(cut.read_rows()) == figures(whole.read_rows())
    same(whole, cut)


def test_the_environment_is_plain_json(spec, make_data, tmp_path) -> None:
    folder = run(spec, make_data(spec), tmp_path / "run")
    environment = json.loads((folder.path / "environment.json").read_text())
    assert environment["threads"] == torch.get_num_threads()
    assert environment["device"] == "cpu"


def test_batch_statistics_are_measured_beside_and_move_nothing(
    make_spec, make_data, tmp_path
) -> None:
    """The figure of NL006: another look at the same weights, which stay as they are."""
    spec = make_spec(epochs=2)
    data = make_data(spec)
    outcome = run(spec, data, tmp_path / "run").read_outcome()
    assert outcome.validation_by_batches is not None
    assert outcome.validation_by_batches != outcome.validation
    assert outcome.validation_by_batches.images == outcome.validation.images
    network = build_network(spec, "cpu")
    weights, _, _, _ = load_weights(tmp_path / "run" / "weights.safetensors")
    network.load_state_dict(weights)
    again, _ = evaluate(network, data.plain_batches("test"), spec)
    assert again == outcome.test
    none = make_spec(epochs=1, norm="none", arm="none")
    outcome = run(none, make_data(none), tmp_path / "none").read_outcome()
    assert outcome.validation_by_batches is None
