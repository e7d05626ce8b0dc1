"""What is read off a network while it trains, against plain computations; it only reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from normlab.errors import StorageError
from normlab.records.store import RunFolder
from normlab.train.checkpoint import copy_weights
from normlab.train.execute import execute
from normlab.train.fit import evaluate, fit
from normlab.train.layer_diagnostics import LayerDiagnostics, Moments, percentiles
from normlab.train.network import build_network, view_of
from normlab.train.optimizers import make_optimizer, make_schedule


def observed(spec, data) -> tuple[LayerDiagnostics, torch.nn.Module]:
    """A network with moved running statistics, observed while it saw the validation part."""
    network = build_network(spec)
    list(fit(network, *_optimizer(network, spec, data), data, spec))
    found = LayerDiagnostics(view_of(network, spec), len(data.labels("validation")))
    with found.observing():
        evaluate(network, data.plain_batches("validation"), spec)
    return found, network


def _optimizer(network, spec, data):
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(
        optimizer, spec.schedule, epochs=spec.epochs, steps_per_epoch=data.steps_per_epoch
    )
    return optimizer, schedule


@pytest.mark.parametrize("norm", ["bn", "bin", "in", "gn:groups=4", "none", "torch-bn"])
def test_the_training_has_the_same_numbers(make_spec, make_data, norm) -> None:
    spec = make_spec(norm=norm, epochs=2)
    data = make_data(spec)
    results = []
    for is_observed in (False, True):
        network = build_network(spec)
        parts = _optimizer(network, spec, data)
        found = LayerDiagnostics(view_of(network, spec), len(data.labels("validation")))
        options = {"observing": found.observing} if is_observed else {}
        rows = []
        for row in fit(network, *parts, data, spec, **options):
            rows.append(row.model_dump(exclude={"seconds", "images_per_second"}))
            if is_observed:
                found.row(row.epoch)
        results.append((rows, copy_weights(network)))
    assert results[0][0] == results[1][0]
    for name, tensor in results[0][1].items():
        assert torch.equal(tensor, results[1][1][name]), name


def test_no_hook_is_left(spec, make_data) -> None:
    _, network = observed(spec, make_data(spec))
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_the_features_are_those_of_the_penultimate_layer(spec, make_data) -> None:
    data = make_data(spec)
    found, network = observed(spec, data)
    images, _ = data.parts["validation"]
    with torch.inference_mode():
        features = network.eval().features(images).numpy()
    expected = np.percentile(features, [1, 20, 80, 99])
    np.testing.assert_allclose(found.row(1).features, expected, rtol=2e-3)


def test_gaps_and_dead_channels_against_the_whole_part_at_once(spec, make_data) -> None:
    data = make_data(spec)
    found, network = observed(spec, data)
    norm = network.stages[1][0].norm1
    with torch.no_grad():
        norm.weight[:3] = 0
        norm.bias[:3] = -1  # three channels that no ReLU lets through
    with found.observing():
        evaluate(network, data.plain_batches("validation"), spec)
    seen = {}
    handle = norm.register_forward_pre_hook(lambda _, args: seen.update(x=args[0]))
    with torch.inference_mode():
        network.eval()(data.parts["validation"][0])
    handle.remove()
    x = seen["x"].double()
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    running_mean, running_var = norm.running_mean.double(), norm.running_var.double()
    row = found.row(1)
    place = row.layers.index("stages.1.0.norm1")
    by_mean = ((mean - running_mean).abs() / (running_var + norm.eps).sqrt()).mean()
    by_scale = (0.5 * ((variance + norm.eps) / (running_var + norm.eps)).log()).abs().mean()
    assert row.mean_gap[place] == pytest.approx(float(by_mean), rel=2e-3)
    assert row.scale_gap[place] == pytest.approx(float(by_scale), rel=2e-3)
    with torch.inference_mode():  # as x was made
        alive = norm(seen["x"], activation="relu").amax((0, 2, 3)) > 0
    assert row.dead[place] == pytest.approx(1 - float(alive.float().mean()), rel=1e-3)
    assert row.dead[place] >= 3 / norm.num_features - 1e-4


def test_gradients_weights_and_gates_are_the_networks_own(make_spec, make_data) -> None:
    spec = make_spec(norm="bin")
    found, network = observed(spec, make_data(spec))
    row = found.row(3)
    assert row.epoch == 3
    assert row.layers[0] == "stem.norm"
    assert "stages.0.0.norm2" in row.layers
    conv = network.stages[0][0].conv2
    place = row.layers.index("stages.0.0.norm2")
    weight = float(conv.weight.detach().square().mean().sqrt())
    assert row.weight[place] == pytest.approx(weight, rel=1e-3)
    gradient = float(conv.weight.grad.square().mean().sqrt())
    assert row.gradient[place] == pytest.approx(gradient, rel=1e-3)
    gate = network.stages[0][0].norm2.gate.detach().numpy()
    expected = (np.percentile(gate, 10), gate.mean(), np.percentile(gate, 90))
    np.testing.assert_allclose(row.gate[place], expected, rtol=1e-3)


def test_what_a_norm_does_not_have_is_none(make_spec, make_data) -> None:
    spec = make_spec(norm="gn:groups=4", network={"name": "resnet8", "shortcut": "B"})
    row = observed(spec, make_data(spec))[0].row(1)
    assert set(row.mean_gap) == set(row.scale_gap) == set(row.gate) == {None}
    shortcut = row.layers.index("stages.1.0.shortcut.norm")
    assert row.dead[shortcut] is None  # nothing is cut off there
    assert row.dead[0] is not None


def test_moments_keep_their_digits() -> None:
    x = torch.randn(7, 3, 5, 5) + 1000
    moments = Moments()
    for batch in x.split(2):
        moments.add(batch)
    moments.add(x[:0])
    torch.testing.assert_close(moments.mean, x.double().mean((0, 2, 3)), rtol=1e-7, atol=0)
    expected = x.double().var((0, 2, 3), correction=0)
    torch.testing.assert_close(moments.variance, expected, rtol=1e-4, atol=0)


def test_percentiles_are_numpys() -> None:
    values = torch.randn(1001)
    found = percentiles(values, torch.tensor([0.01, 0.2, 0.8, 0.99, 1.0]))
    np.testing.assert_allclose(found, np.percentile(values, [1, 20, 80, 99, 100]), rtol=1e-5)


def test_few_features_are_kept_of_a_large_part(spec, make_data, monkeypatch) -> None:
    monkeypatch.setattr("normlab.train.layer_diagnostics.MAX_FEATURES", 64 * 4)
    found, _ = observed(spec, make_data(spec))  # 13 images of 64 features in batches of 8
    assert sum(len(kept) for kept in found._features) == 64 * 4


@pytest.mark.slow
def test_the_rows_are_stored_and_cut_with_the_others(spec, make_data, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run")
    list(execute(spec, make_data(spec), folder))
    rows = folder.read_layer_diagnostics()
    assert [row.epoch for row in rows] == [1, 2, 3, 4]
    (folder.path / "outcome.json").unlink()  # it vouches for all four
    folder.keep_rows(2)
    assert [row.epoch for row in folder.read_layer_diagnostics()] == [1, 2]
    with (folder.path / "layers.jsonl").open("a") as file:
        file.write('{"epoch": 3, "fea')  # the process dies here
    assert [row.epoch for row in folder.read_layer_diagnostics()] == [1, 2]
    with (folder.path / "layers.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(StorageError, match=r"layers\.jsonl line 3 is damaged"):
        folder.read_layer_diagnostics()


@pytest.mark.slow
def test_a_continued_run_has_the_same_rows(spec, make_data, tmp_path) -> None:
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    data = make_data(spec)
    list(execute(spec, data, whole))
    for number, _ in enumerate(execute(spec, data, cut), start=1):
        if number == 2:
            break
    list(execute(spec, data, cut))
    assert cut.read_layer_diagnostics() == whole.read_layer_diagnostics()


def test_tuning_runs_are_not_observed(spec, make_data, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run")
    list(execute(spec, make_data(spec), folder, evaluate_test=False))
    assert folder.read_layer_diagnostics() == ()
