"""The gradients of a batch, as they come and as a CUDA graph.

Without a GPU the graph is a stand-in that runs what it has recorded when it is played: what is
tested is that every batch is used once, with its own pixels, and that other shapes go around it.
"""

from __future__ import annotations

import contextlib
import warnings

import pytest
import torch

from normlab.train.checkpoint import copy_weights
from normlab.train.fit import fit
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule
from normlab.train.step import EAGER_BATCHES, GraphedGradients, gradients_of
from normlab.train.step_mode import StepMode

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


class Stream:
    def wait_stream(self, other) -> None:
        pass


class Graph:
    """Playing runs the step on the recorded tensors and writes into the recorded memory alone."""

    def replay(self) -> None:
        now = [p.grad for p in self.parameters]
        losses, logits = self.step(*self.inputs)
        self.outputs[0].copy_(losses)
        self.outputs[1].copy_(logits)
        for parameter, own, other in zip(self.parameters, self.gradients, now, strict=True):
            own.copy_(parameter.grad)
            parameter.grad = other


@pytest.fixture
def stand_in(monkeypatch):
    """torch.cuda's graphs on the CPU; gives the graphs that were recorded."""
    recorded = []
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: None)

    @contextlib.contextmanager
    def graph(own, capture_error_mode):
        assert capture_error_mode == "thread_local"  # batches are read ahead by another thread
        recorded.append(own)
        yield

    monkeypatch.setattr(torch.cuda, "graph", graph)
    return recorded


def graphed(network, gradients, recorded) -> GraphedGradients:
    """GraphedGradients whose recording changes no weight or statistic, as a real one does not."""

    def step(images, labels):
        if recorded and not hasattr(recorded[-1], "inputs"):  # the call that is being recorded
            before = copy_weights(network)
            found = tuple(t.clone() for t in gradients(images, labels))
            network.load_state_dict(before)
            recorded[-1].inputs, recorded[-1].outputs = (images, labels), found
            recorded[-1].step = gradients
            recorded[-1].parameters = list(network.parameters())
            recorded[-1].gradients = [p.grad for p in network.parameters()]
            return found
        return gradients(images, labels)

    return GraphedGradients(network, step)


def test_a_graph_has_the_same_numbers(spec, make_data, stand_in) -> None:
    data = make_data(spec)
    batches = list(data.train_batches(1)) + list(data.train_batches(2))
    results = []
    for as_graph in (False, True):
        network = build_network(spec).train()
        optimizer = make_optimizer(network, spec.optimizer)
        gradients = gradients_of(network, spec, StepMode(graph=False))
        if as_graph:
            gradients = graphed(network, gradients, stand_in)
        losses = []
        for images, labels in batches:
            losses.append(gradients(images, labels)[0])
            optimizer.step()
        results.append((torch.cat(losses), copy_weights(network)))
    assert len(stand_in) == 1
    assert torch.equal(results[0][0], results[1][0])
    for name, tensor in results[0][1].items():
        assert torch.equal(tensor, results[1][1][name]), name


def test_it_is_recorded_after_some_batches_and_other_shapes_go_around(
    spec, make_data, stand_in
) -> None:
    data = make_data(spec)
    network = build_network(spec).train()
    gradients = graphed(network, gradients_of(network, spec, StepMode(graph=False)), stand_in)
    batches = list(data.train_batches(1))
    for images, labels in batches[:EAGER_BATCHES]:
        gradients(images, labels)
    assert stand_in == []
    gradients(*batches[EAGER_BATCHES])
    assert len(stand_in) == 1
    losses, logits = gradients(batches[0][0][:3], batches[0][1][:3])
    assert (len(losses), len(logits)) == (3, 3)
    assert len(stand_in) == 1
    kept = gradients(*batches[0])[0]
    before = kept.clone()
    gradients(*batches[1])
    assert torch.equal(kept, before)  # what was given is not written over


def test_a_batch_that_goes_around_leaves_its_gradients_to_no_other(
    spec, make_data, stand_in
) -> None:
    images, labels = next(make_data(spec).train_batches(1))
    found = []
    for short_batch in (False, True):
        network = build_network(spec).train()
        gradients = graphed(network, gradients_of(network, spec, StepMode(graph=False)), stand_in)
        for _ in range(EAGER_BATCHES + 1):
            gradients(images, labels)
        if short_batch:
            gradients(images[:3], labels[:3])
        gradients(images, labels)
        found.append([p.grad.clone() for p in network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_step_that_waits_for_the_gpu_is_not_recorded(spec, make_data, stand_in) -> None:
    network = build_network(spec).train()
    plain = gradients_of(network, spec, StepMode(graph=False))

    def waiting(images, labels):
        # what torch says where .item() is called on a GPU and it was asked to
        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        return plain(images, labels)

    gradients = GraphedGradients(network, waiting)
    batches = list(make_data(spec).train_batches(1))
    for k, batch in enumerate(batches, 1):
        asked = k == EAGER_BATCHES
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            gradients(*batch)
        own = [str(w.message) for w in said if "CUDA graph" in str(w.message)]
        assert len(own) == asked
        if asked:
            assert "test_step.py:" in own[0]
    assert len(batches) > EAGER_BATCHES + 1
    assert stand_in == []


def test_on_the_cpu_there_is_no_graph(spec) -> None:
    assert not isinstance(gradients_of(build_network(spec), spec), GraphedGradients)


def test_gradients_do_not_pile_up(spec, make_data) -> None:
    network = build_network(spec).train()
    gradients = gradients_of(network, spec)
    images, labels = next(make_data(spec).train_batches(1))
    gradients(images, labels)
    first = network.classifier.weight.grad.clone()
    gradients(images, labels)
    torch.testing.assert_close(network.classifier.weight.grad, first, rtol=0.2, atol=0.05)


@needs_gpu
@pytest.mark.parametrize("norm", ["bn", "bin", "gn:groups=4", "none"])
def test_a_real_graph_has_the_same_rows(make_spec, make_data, norm) -> None:
    spec = make_spec(norm=norm)
    data = make_data(spec)
    data.parts = {k: (x.cuda(), y.cuda()) for k, (x, y) in data.parts.items()}
    found = []
    for graph in (False, True):
        network = build_network(spec, "cuda")
        optimizer = make_optimizer(network, spec.optimizer)
        schedule = make_schedule(
            optimizer, spec.schedule, epochs=spec.epochs, steps_per_epoch=data.steps_per_epoch
        )
        rows = fit(network, optimizer, schedule, data, spec, steps=StepMode(graph=graph))
        found.append([r.model_dump(exclude={"seconds", "images_per_second"}) for r in rows])
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["bn", "bin", "none"])
def test_compiled_steps_have_the_numbers_up_to_rounding(make_spec, make_data, norm) -> None:
    spec = make_spec(norm=norm)
    data = make_data(spec)
    losses = []
    for compiled in (False, True):
        torch.compiler.reset()
        network = build_network(spec).train()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # inductor's own
            gradients = gradients_of(network, spec, StepMode(compiled=compiled))
            losses.append(torch.stack([gradients(*b)[0].mean() for b in data.train_batches(1)]))
        assert not network._forward_hooks
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-5)
    torch.compiler.reset()
