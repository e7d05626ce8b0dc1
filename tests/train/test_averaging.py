"""Accumulated gradients against one large batch, averaged weights against their recursion."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from normlab.errors import InterruptedRunError
from normlab.records.store import RunFolder
from normlab.train.averaging import AveragedWeights
from normlab.train.checkpoint import load_weights
from normlab.train.execute import execute
from normlab.train.fit import evaluate, train_epoch
from normlab.train.network import build_network, view_of
from normlab.train.optimizers import make_optimizer, make_schedule


def one_epoch(spec, data, batches) -> nn.Module:
    network = build_network(spec)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(optimizer, spec.schedule, epochs=1, steps_per_epoch=9)
    train_epoch(network, optimizer, schedule, batches, spec)
    return network


def assert_equal_weights(one: nn.Module, other: nn.Module, tolerance: float) -> None:
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=name)


def test_accumulated_steps_are_those_of_the_joined_batches(make_spec, make_data) -> None:
    """A norm of single images does not know the batch: 2 + 3 + 3 images are one step of 8."""
    spec = make_spec(norm="gn", arm="gn", schedule={"name": "constant"})
    images, labels = make_data(spec).parts["train"]
    joined = [(images[:8], labels[:8]), (images[8:16], labels[8:16])]
    pieces = [
        (x, y)
        for image, label in joined
        for x, y in zip(image.split([2, 3, 3]), label.split([2, 3, 3]), strict=True)
    ]
    accumulating = make_spec(
        norm="gn", arm="gn", schedule={"name": "constant"}, batch_size=3, accumulate=3
    )
    whole, parts = one_epoch(spec, None, joined), one_epoch(accumulating, None, pieces)
    assert_equal_weights(whole, parts, 1e-5)
    with pytest.raises(AssertionError):
        assert_equal_weights(whole, one_epoch(spec, None, pieces), 1e-5)


def test_the_last_group_of_an_epoch_may_be_smaller(make_spec, make_data) -> None:
    """Four batches by three: a step of three, and one of the one that is left."""
    spec = make_spec(accumulate=3, norm="ln", arm="ln")
    images, labels = make_data(spec).parts["train"]
    batches = list(zip(images[:32].split(8), labels[:32].split(8), strict=True))
    network = build_network(spec)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(optimizer, spec.schedule, epochs=1, steps_per_epoch=9)
    train_epoch(network, optimizer, schedule, batches, spec)
    assert schedule.last_epoch == 2


def test_the_norms_see_one_batch_at_a_time(make_spec, make_data) -> None:
    """The batch of the statistics is not that of the steps, also in what NL001 counts."""
    spec = make_spec(batch_size=4, accumulate=4)
    data = make_data(spec)
    network = one_epoch(spec, data, list(data.train_batches(1)))
    assert int(network.stem.norm.num_batches_tracked) == 12
    plain = make_spec(batch_size=4)
    values = [
        [site.facts.values for site in view_of(build_network(s).train(), s).norm_sites]
        for s in (spec, plain)
    ]
    assert values[0] == values[1]


def test_the_average_follows_its_recursion() -> None:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    with torch.no_grad():
        network[0].weight.fill_(1.0)
    averaged = AveragedWeights(network, 0.5)
    expected = 1.0
    for step, value in enumerate([3.0, -1.0, 2.0, 8.0, 5.0, 0.0, 7.0, 1.0, 4.0, 6.0], start=1):
        with torch.no_grad():
            network[0].weight.fill_(value)
            network[1].running_mean.fill_(value)
        averaged.update(network)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    with averaged.within(network):
        assert network[0].weight.item() == pytest.approx(expected)
        assert network[1].running_mean.item() != 6.0
    assert network[0].weight.item() == 6.0
    averaged.give(network)
    assert network[0].weight.item() == pytest.approx(expected)


@pytest.mark.parametrize("patience", [None, 3])
def test_what_is_validated_is_what_is_kept(patience, make_spec, make_data, tmp_path) -> None:
    spec = make_spec(ema=0.9, patience=patience)
    data = make_data(spec)
    folder = RunFolder(tmp_path / "run")
    list(execute(spec, data, folder))
    outcome = folder.read_outcome()
    assert outcome.validation == folder.read_rows()[outcome.reported_epoch - 1].validation
    weights, stored, _, _ = load_weights(folder.weights_path)
    network = build_network(stored)
    network.load_state_dict(weights)
    assert evaluate(network, data.plain_batches("test"), spec)[0] == outcome.test
    other = RunFolder(tmp_path / "plain")
    list(execute(make_spec(patience=patience), data, other))
    assert other.read_outcome().test.loss != outcome.test.loss


def test_an_interrupted_run_goes_on_with_the_same_average(make_spec, make_data, tmp_path) -> None:
    spec = make_spec(ema=0.9, accumulate=2, precise_statistics=True)
    data = make_data(spec)
    whole = RunFolder(tmp_path / "whole")
    list(execute(spec, data, whole))
    calls = itertools.count()

    def stop(images: int) -> None:
        if next(calls) == 25:
            raise InterruptedRunError("enough")

    parts = RunFolder(tmp_path / "parts")
    list(execute(spec, data, parts, on_batch=stop))
    assert parts.read_outcome().status == "interrupted"
    list(execute(spec, data, parts))
    assert parts.weights_path.read_bytes() == whole.weights_path.read_bytes()
    assert parts.read_outcome().test == whole.read_outcome().test


def test_precise_statistics_are_those_of_the_training_part(make_spec, make_data, tmp_path) -> None:
    """The first norm's running mean is the mean of what it reads, over all images of the epoch."""
    spec = make_spec(precise_statistics=True)
    data = make_data(spec)
    folder = RunFolder(tmp_path / "run")
    list(execute(spec, data, folder))
    network = build_network(spec)
    network.load_state_dict(load_weights(folder.weights_path)[0])
    images = torch.cat([x for x, _ in data.train_batches(spec.epochs)])
    with torch.no_grad():
        read = network.stem.conv(images)
    torch.testing.assert_close(
        network.stem.norm.running_mean, read.mean((0, 2, 3)), rtol=1e-4, atol=1e-5
    )


def test_runs_that_use_none_of_it_keep_their_ids(make_spec) -> None:
    plain = make_spec()
    assert make_spec(accumulate=1, ema=None, precise_statistics=False).id == plain.id
    changed = {make_spec(**c).id for c in ({"accumulate": 2}, {"ema": 0.9}, {"ema": 0.99})}
    changed.add(make_spec(precise_statistics=True).id)
    assert len(changed | {plain.id}) == 5
