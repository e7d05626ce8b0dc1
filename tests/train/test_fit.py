"""The loop and the evaluation, against sums worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from normlab.errors import DivergedError, UsageError
from normlab.norms.layers.batch import BatchNorm2d
from normlab.norms.layers.batch_instance import BatchInstanceNorm2d
from normlab.train.fit import evaluate, fit, train_epoch
from normlab.train.network import build_network, check_trainable
from normlab.train.optimizers import make_optimizer, make_schedule

ARMS = ["bn", "in", "bin", "ln", "gn", "none", "torch-bn"]


def start(spec, data):
    network = build_network(spec)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(
        optimizer, spec.schedule, epochs=spec.epochs, steps_per_epoch=data.steps_per_epoch
    )
    return network, optimizer, schedule


@pytest.mark.parametrize("norm", ARMS)
def test_every_arm_learns(norm, make_spec, make_data) -> None:
    rate = 0.01 if norm == "none" else 0.05  # without a norm 0.05 diverges here
    spec = make_spec(arm=norm, norm=norm, epochs=8, optimizer={"learning_rate": rate})
    data = make_data(spec)
    rows = list(fit(*start(spec, data), data, spec))
    assert [row.epoch for row in rows] == list(range(1, 9))
    assert rows[-1].train.loss < 0.6 * rows[0].train.loss
    assert rows[-1].validation.accuracy > 0.6


def test_the_row_has_the_figures_of_the_steps(make_spec, make_data) -> None:
    """Loss and accuracy of an epoch are means over images, taken while the weights move."""
    spec = make_spec(optimizer={"name": "sgd", "learning_rate": 1e-12})
    data = make_data(spec)
    network, optimizer, schedule = start(spec, data)
    batches = list(data.train_batches(1))
    network.train()
    with torch.no_grad():
        logits = torch.cat([network(images) for images, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    measures, _ = train_epoch(network, optimizer, schedule, batches, spec)
    assert measures.loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert measures.accuracy == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    assert measures.images == 48  # six batches of 8 out of 50 images


def test_evaluation_is_repeatable_and_leaves_the_network_alone(spec, make_data) -> None:
    """Peers: "never in evaluation mode; validation batches update running statistics"."""
    data = make_data(spec)
    network, optimizer, schedule = start(spec, data)
    train_epoch(network, optimizer, schedule, data.train_batches(1), spec)
    before = {name: t.clone() for name, t in network.state_dict().items()}
    first, probabilities = evaluate(network, data.plain_batches("test"), spec)
    again, _ = evaluate(network, data.plain_batches("test"), spec)
    assert first == again
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    one_batch = [(data.parts["test"])]
    whole, at_once = evaluate(network, one_batch, spec)
    torch.testing.assert_close(probabilities, at_once)
    assert whole.accuracy == first.accuracy


def test_gates_stay_in_their_range_while_training(make_spec, make_data) -> None:
    spec = make_spec(norm="bin", optimizer={"learning_rate": 5.0}, schedule={"name": "constant"})
    data = make_data(spec)
    network, optimizer, schedule = start(spec, data)
    train_epoch(network, optimizer, schedule, data.train_batches(1), spec)
    gates = [m.gate for m in network.modules() if isinstance(m, BatchInstanceNorm2d)]
    assert all(gate.min() >= 0 and gate.max() <= 1 for gate in gates)
    assert any((gate < 1).any() for gate in gates)


def test_a_loss_that_is_not_finite_is_a_divergence(make_spec, make_data) -> None:
    spec = make_spec(norm="none", optimizer={"learning_rate": 1e18}, schedule={"name": "constant"})
    data = make_data(spec)
    with pytest.raises(DivergedError) as caught:
        list(fit(*start(spec, data), data, spec))
    assert caught.value.epoch in (1, 2)


def test_gradient_clipping_bounds_the_step(make_spec, make_data) -> None:
    spec = make_spec(
        clip_gradient_norm=1e-3,
        optimizer={"learning_rate": 1.0, "momentum": 0.0},
        schedule={"name": "constant"},
    )
    data = make_data(spec)
    network, optimizer, schedule = start(spec, data)
    before = torch.cat([p.detach().flatten().clone() for p in network.parameters()])
    train_epoch(network, optimizer, schedule, [next(data.train_batches(1))], spec)
    after = torch.cat([p.detach().flatten() for p in network.parameters()])
    assert (after - before).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_bfloat16_keeps_weights_and_statistics_in_float32(make_spec, make_data) -> None:
    spec = make_spec(precision="bfloat16", epochs=8)
    data = make_data(spec)
    network, optimizer, schedule = start(spec, data)
    rows = list(fit(network, optimizer, schedule, data, spec))
    assert rows[-1].train.loss < 0.6 * rows[0].train.loss
    assert {t.dtype for t in network.parameters()} == {torch.float32}
    norms = [m for m in network.modules() if isinstance(m, BatchNorm2d)]
    assert all(m.running_var.dtype == torch.float32 for m in norms)


def test_arms_of_a_block_differ_in_the_norm_alone(make_spec, make_data) -> None:
    """Two arms side by side: weights, order, steps, learning rates, ε."""
    specs = [make_spec(arm=norm, norm=norm) for norm in ("bn", "gn")]
    networks = [build_network(spec) for spec in specs]
    one, other = (dict(network.named_parameters()) for network in networks)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert networks[0].stem.norm.eps == networks[1].stem.norm.eps
    for epoch in (1, 2):
        pairs = zip(*(make_data(spec).train_batches(epoch) for spec in specs), strict=True)
        assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in pairs)
    groups = [
        make_optimizer(n, s.optimizer).param_groups for n, s in zip(networks, specs, strict=True)
    ]
    settings = [
        [{k: v for k, v in group.items() if k != "params"} for group in each] for each in groups
    ]
    assert settings[0] == settings[1]


def test_global_generators_have_no_part_in_a_run(spec, make_data) -> None:
    """Disturbing the global generators changes nothing, and a run does not move them."""
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        data = make_data(spec)
        rows = list(fit(*start(spec, data), data, spec))
        assert torch.equal(torch.get_rng_state(), state)
        losses.append([row.train.loss for row in rows])
    assert losses[0] == losses[1]


def test_blocks_differ(make_spec) -> None:
    one, other = (build_network(make_spec(block=b)).stem.conv.weight for b in (0, 1))
    assert not torch.equal(one, other)


def test_an_arm_that_cannot_be_trained_is_found_before_training(make_spec) -> None:
    large = {"name": "resnet18"}
    with pytest.raises(UsageError, match="more than 1 value per statistic in training"):
        check_trainable(make_spec(network=large, batch_size=1))
    with pytest.raises(UsageError, match="5 groups do not divide 16 channels"):
        check_trainable(make_spec(norm="gn:groups=5"))
    check_trainable(make_spec(network=large, norm="ln", batch_size=1))


def test_bn_and_the_frameworks_bn_take_the_same_steps(make_spec, make_data) -> None:
    """The sanity check of the course: the losses of the first steps agree up to rounding."""
    losses = []
    for norm in ("bn", "torch-bn"):
        spec = make_spec(arm=norm, norm=norm)
        data = make_data(spec)
        network, optimizer, schedule = start(spec, data)
        steps = [
            train_epoch(network, optimizer, schedule, [batch], spec)[0].loss
            for batch in data.train_batches(1)
        ]
        losses.append(steps)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert len(set(losses[0])) == 6
