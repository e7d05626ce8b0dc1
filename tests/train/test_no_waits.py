"""A step of training asks the device for no number and mixes no devices: CPU and meta here."""

from __future__ import annotations

import contextlib

import pytest
import torch

from normlab.norms.spec import norm_names
from normlab.norms.training.parameters import clamp_gates
from normlab.train.network import build_network
from normlab.train.step import gradients_of
from normlab.train.step_mode import StepMode


@pytest.fixture
def no_autocast(monkeypatch):
    """The meta device has none."""
    monkeypatch.setattr(torch, "autocast", lambda *a, **k: contextlib.nullcontext())


@pytest.mark.parametrize("norm", norm_names())
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_a_step_of_every_norm(make_spec, no_autocast, waits, norm, shortcut) -> None:
    spec = make_spec(norm=norm, network={"name": "resnet8", "shortcut": shortcut})
    network = build_network(spec, "meta").train()
    gradients = gradients_of(network, spec, StepMode(graph=False))
    images = torch.empty(8, 3, 8, 8, device="meta").to(memory_format=torch.channels_last)
    labels = torch.empty(8, dtype=torch.int64, device="meta")
    with waits as seen:
        losses, logits = gradients(images, labels)
        clamp_gates(network)
    assert seen == []
    assert losses.is_meta
    assert logits.is_meta
    assert all(p.grad.is_meta for p in network.parameters())


def test_waits_are_seen(waits) -> None:
    with waits as seen:
        there = torch.empty(3, device="meta") * torch.tensor(2.0)
        torch.tensor(2.0).to("meta", non_blocking=True)
        torch.tensor(2.0).to("meta")
        there.new_tensor([1.0])
        torch.tensor(2.0, device="meta")
    assert seen == ["aten.mul.Tensor", "aten._to_copy.default", "new_tensor", "tensor"]
    with pytest.raises(RuntimeError):
        there.sum().item()
