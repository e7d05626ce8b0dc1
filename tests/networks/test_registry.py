"""Networks by name: those of normlab, their old names, one of a plugin, and bad factories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest
import torch
from torch import nn

from normlab.errors import PluginError, UnknownNameError, UsageError
from normlab.networks import registry
from normlab.networks.registry import (
    all_networks,
    checked,
    find_network,
    make_network,
    register_network,
)
from normlab.records.run import DataSpec, NetworkSpec, RunSpec
from normlab.testing import NetworkContract
from normlab.train.network import build_network, check_trainable


def plain(num_classes, norm, generator, *, width=8, pool="mean"):
    """Two convolutions and a mean."""
    pooling = nn.AdaptiveAvgPool2d(1) if pool == "mean" else nn.AdaptiveMaxPool2d(1)
    return nn.Sequential(
        *(nn.Conv2d(3, width, 3, padding=1, bias=False), norm.make(width), nn.ReLU()),
        *(nn.Conv2d(width, width, 3, padding=1, bias=False), norm.make(width), nn.ReLU()),
        *(pooling, nn.Flatten(), nn.Linear(width, num_classes)),
    )


@pytest.fixture(autouse=True)
def _table() -> Iterator[None]:
    before = dict(registry.NETWORKS)
    yield
    registry.NETWORKS.clear()
    registry.NETWORKS.update(before)


class TestPlain(NetworkContract):
    factory = staticmethod(plain)


class TestCifarResNet(NetworkContract):
    factory = staticmethod(find_network("cifar-resnet8")[1])
    options: ClassVar = {"shortcut": "B"}


def run(network: object, norm: str = "bn", classes: tuple[str, ...] = ("a", "b", "c")) -> RunSpec:
    data = DataSpec(fingerprint="x", classes=classes, image_size=16)
    return RunSpec(arm="x", block=0, data=data, network=network, norm=norm, batch_size=4)


def test_a_registered_network_has_its_options_from_the_signature() -> None:
    register_network("plain", paper="none")(plain)
    info, _ = find_network("plain")
    assert (info.summary, dict(info.options)) == (
        "Two convolutions and a mean.",
        {"width": 8, "pool": "mean"},
    )
    spec = checked(NetworkSpec.model_validate("plain:width=4"))
    assert spec == NetworkSpec(name="plain", options={"width": 4, "pool": "mean"})
    assert str(spec) == "plain:pool=mean,width=4"
    check_trainable(run(spec))
    weights = [build_network(run(spec, norm))[0].weight for norm in ("bn", "gn:groups=2", "none")]
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])
    assert weights[0].shape == (4, 3, 3, 3)


def test_the_id_of_a_run_holds_the_name_and_the_options_of_the_factory() -> None:
    specs = ("plain", "plain:width=4", "other", "cifar-resnet8")
    assert len({run(spec).id for spec in specs}) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"name": "resnet8"}, "cifar-resnet8"),
        ({"name": "resnet20", "shortcut": "B"}, "cifar-resnet20:shortcut=B"),
        ({"name": "resnet18", "zero_init_last_scale": True}, "resnet18:zero_init_last_scale=true"),
    ],
)
def test_a_network_by_its_old_name_is_the_same_run(old: dict[str, object], new: str) -> None:
    assert run(old).id == run(new).id
    assert run(old).id == run(checked(NetworkSpec.model_validate(old))).id
    one, other = (build_network(run(spec)).parameters() for spec in (old, new))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_id_that_the_first_records_had() -> None:
    """Worked out with the code of version 0.1.0, whose networks were called resnet8."""
    old = {"name": "resnet8", "shortcut": "A", "zero_init_last_scale": False}
    assert run(old).id == "10baef0a907e"


def test_a_name_that_others_use_is_refused_in_a_new_plan_and_read_in_an_old_record() -> None:
    with pytest.raises(UsageError, match=r"write cifar-resnet50 .* or torchvision/resnet50"):
        checked(NetworkSpec(name="resnet50"))
    network = make_network(NetworkSpec(name="resnet50"), 10, "bn")
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 49


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cifar-resnet9", "unknown network 'cifar-resnet9'; did you mean 'cifar-resnet8'"),
        ("cifar-resnt14", "did you mean 'cifar-resnet14'"),
        ("cifar-resnet8:shortcat=B", "unknown option of cifar-resnet8 'shortcat'"),
        ("cifar-resnet8:zero_init_last_scale=1", "takes true or false, got 1"),
    ],
)
def test_what_no_network_has(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        checked(NetworkSpec.model_validate(spec))


@pytest.mark.parametrize("name", ["cifar-resnet8", "resnet18", "resnet101", "a b", "a:b", ""])
def test_names_that_cannot_be_registered(name: str) -> None:
    with pytest.raises(UsageError, match="choose another"):
        register_network(name)(plain)


def test_functions_that_are_no_factories() -> None:
    with pytest.raises(UsageError, match="cannot be called with num_classes, norm and generator"):
        register_network("x")(lambda classes: nn.Linear(3, classes))
    with pytest.raises(UsageError, match="option 'widths' of the network 'x' must be"):

        @register_network("x")
        def x(num_classes, norm, generator, *, widths=(1, 2)):
            return plain(num_classes, norm, generator)


def no_module(num_classes, norm, generator):
    return "a network"


def ten_classes(num_classes, norm, generator):
    return plain(10, norm, generator)


def own_norm(num_classes, norm, generator):
    network = plain(num_classes, norm, generator)
    network[1], network[4] = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
    return network


def broken(num_classes, norm, generator):
    return nn.Sequential(nn.Flatten(), nn.Linear(5, num_classes))


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (no_module, "must return a torch.nn.Module, and it returned str"),
        (ten_classes, r"logits of shape \(4, 3\), one for each of num_classes, and it gives"),
        (own_norm, r"no normalization out of norm.make\(channels\)"),
        (broken, "cannot be made or called"),
    ],
)
def test_bad_factories_are_a_sentence(factory, message: str) -> None:
    register_network("bad")(factory)
    with pytest.raises(UsageError, match=message) as caught:
        check_trainable(run("bad"))
    assert str(caught.value).startswith("bn in bad at batch 4 of 16 px")


def test_without_norm_a_network_needs_no_layer_of_it() -> None:
    register_network("bad")(own_norm)
    check_trainable(run("bad", norm="none"))


def test_an_installed_package_brings_networks(installed) -> None:
    installed("normlab.networks", "packaged", f"{__name__}:plain", plain)
    assert find_network("packaged")[1] is plain
    assert all_networks()["packaged"].name == "packaged"  # registered once, however often asked for


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gone", "no_such_module:make", r"gone' of normlab.networks .*cannot be imported"),
        ("number", "math:pi", "a network is a function that makes one, got float"),
        ("resnet18", "math:sqrt", "there is a network 'resnet18' already"),
    ],
)
def test_a_package_that_cannot_be_used_is_a_sentence(installed, name, value, message) -> None:
    installed("normlab.networks", name, value)
    with pytest.raises(PluginError, match=message):
        find_network("unknown")


def test_the_global_generator_is_as_it_was() -> None:
    state = torch.random.get_rng_state()
    make_network("cifar-resnet8", 3, "bn", torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_unknown_names_are_looked_for_in_installed_packages_once() -> None:
    with pytest.raises(UnknownNameError, match="unknown network 'vgg'"):
        find_network("vgg")
