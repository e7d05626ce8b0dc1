"""The norms beyond the six against implementations of their papers, written another way."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import normlab
from normlab import convert_norms, precise_statistics, unfreeze
from normlab.errors import UsageError
from normlab.norms.layers.baselines import FixupScale2d, SkipInit2d
from normlab.norms.layers.batch_variants import BatchRenorm2d
from normlab.norms.layers.weight_standardization import WeightStandardizedConv2d
from normlab.norms.registry import NORMS
from normlab.norms.spec import make_norm, norm_names, parse_norm
from normlab.testing import relative_error

pytestmark = pytest.mark.usefixtures("one_thread")
C = 8


def images(seed: int = 0, samples: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, C, 5, 4, generator=generator, dtype=torch.float64) * 2 + 1


def trained(spec: str) -> nn.Module:
    """In float64, with random parameters, after two batches."""
    layer = make_norm(spec, C).double()
    generator = torch.Generator().manual_seed(3)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, 0.3, 0.9, generator=generator)
    for seed in (10, 11):
        layer(images(seed))
    return layer


def channel(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1)


def own_ghost(layer: nn.Module, x: Tensor) -> Tensor:
    parts = [
        functional.batch_norm(part, None, None, layer.weight, layer.bias, training=True)
        for part in x.split(4)
    ]
    return torch.cat(parts)


def own_renorm(layer: nn.Module, x: Tensor) -> Tensor:
    std = (x.var((0, 2, 3), correction=0) + 1e-5).sqrt()
    running = (layer.running_var + 1e-5).sqrt()
    mean = x.mean((0, 2, 3))
    grown = float(layer.num_batches_tracked) / 4  # warmup=4
    r_max, d_max = 1 + grown * 0.2, grown * 0.3
    r = (std / running).detach().clamp(1 / r_max, r_max)
    d = ((mean - layer.running_mean) / running).detach().clamp(-d_max, d_max)
    hat = (x - channel(mean)) / channel(std) * channel(r) + channel(d)
    return hat * channel(layer.weight) + channel(layer.bias)


def own_switchable(layer: nn.Module, x: Tensor) -> Tensor:
    axes = ((2, 3), (1, 2, 3), (0, 2, 3))
    m_share, v_share = layer.mean_weight.softmax(0), layer.var_weight.softmax(0)
    mean = sum(m_share[k] * x.mean(a, keepdim=True) for k, a in enumerate(axes))
    var = sum(v_share[k] * x.var(a, correction=0, keepdim=True) for k, a in enumerate(axes))
    return (x - mean) / (var + 1e-5).sqrt() * channel(layer.weight) + channel(layer.bias)


def own_ibn(layer: nn.Module, x: Tensor) -> Tensor:
    half = C // 2
    one = functional.instance_norm(x[:, :half])
    other = functional.batch_norm(x[:, half:], None, None, training=True)
    return torch.cat([one, other], 1) * channel(layer.weight) + channel(layer.bias)


def own_rms(layer: nn.Module, x: Tensor) -> Tensor:
    rows = x.permute(0, 2, 3, 1).reshape(len(x), -1)
    weights = layer.weight.repeat(x.shape[2] * x.shape[3])
    y = rows / (rows.pow(2).mean(1, keepdim=True) + 1e-5).sqrt() * weights
    return y.view(len(x), *x.shape[2:], C).permute(0, 3, 1, 2)


def own_rms_pixel(layer: nn.Module, x: Tensor) -> Tensor:
    return x / (x.pow(2).mean(1, keepdim=True) + 1e-5).sqrt() * channel(layer.weight)


def own_frn(layer: nn.Module, x: Tensor) -> Tensor:
    return torch.maximum(bare_frn(layer, x), channel(layer.threshold))


def bare_frn(layer: nn.Module, x: Tensor) -> Tensor:
    hat = x / (x.pow(2).mean((2, 3), keepdim=True) + 1e-6).sqrt()
    return channel(layer.weight) * hat + channel(layer.bias)


def own_evonorm(layer: nn.Module, x: Tensor) -> Tensor:
    spread = torch.stack([part.flatten(1).var(1, correction=0) for part in x.split(4, 1)], 1)
    spread = spread.repeat_interleave(4, 1)[:, :, None, None]
    gate = 1 / (1 + torch.exp(-channel(layer.slope) * x))
    return x * gate / (spread + 1e-5).sqrt() * channel(layer.weight) + channel(layer.bias)


def own_grn(layer: nn.Module, x: Tensor) -> Tensor:
    g = x.norm(dim=(2, 3), keepdim=True)
    share = g / (g.mean(1, keepdim=True) + 1e-6)
    return channel(layer.weight) * (x * share) + channel(layer.bias) + x


def own_dyt(layer: nn.Module, x: Tensor) -> Tensor:
    return channel(layer.weight) * torch.tanh(layer.alpha * x) + channel(layer.bias)


OWN: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "bn:virtual_batch=4": own_ghost,
    "brn:warmup=4,r_max=1.2,d_max=0.3": own_renorm,
    "sn": own_switchable,
    "ibn": own_ibn,
    "rms": own_rms,
    "rms:axes=c": own_rms_pixel,
    "frn": own_frn,
    "evonorm-s0:groups=2": own_evonorm,
    "grn": own_grn,
    "dyt": own_dyt,
}


@pytest.mark.parametrize("spec", OWN)
def test_against_the_paper(spec: str) -> None:
    """Output and all gradients, in training."""
    layer, dy = trained(spec), images(5)
    x, other = (images(4).requires_grad_() for _ in range(2))
    expected = OWN[spec](layer, other)
    layer.zero_grad()
    expected.backward(dy)
    gradients = {name: p.grad.clone() for name, p in layer.named_parameters() if p.grad is not None}
    layer.zero_grad()
    y = layer(x)
    y.backward(dy)
    assert relative_error(y, expected) < 1e-12
    assert relative_error(x.grad, other.grad) < 1e-10
    for name, parameter in layer.named_parameters():
        if name in gradients:
            assert relative_error(parameter.grad, gradients[name]) < 1e-10, name
        else:
            assert parameter.grad is None, name


def test_every_norm_of_the_table_has_such_a_test() -> None:
    elsewhere = {"bn", "in", "bin", "ln", "gn", "none", "torch-bn"}
    assert {parse_norm(spec).info.code for spec in OWN} | elsewhere == set(norm_names())


def test_ghost_statistics() -> None:
    """Parts of 4 and 2; running statistics by their sizes; one part is batch normalization."""
    layer = make_norm("bn:virtual_batch=4,momentum=1", C).double()
    x = images(1)
    layer(x)
    parts = [(len(p), p.mean((0, 2, 3)), p.var((0, 2, 3))) for p in x.split(4)]
    assert relative_error(layer.running_mean, sum(n * m for n, m, _ in parts) / 6) < 1e-12
    assert relative_error(layer.running_var, sum(n * v for n, _, v in parts) / 6) < 1e-12
    whole, one = make_norm("bn", C).double(), make_norm("bn:virtual_batch=6", C).double()
    assert relative_error(one(x), whole(x)) < 1e-12
    assert relative_error(one.running_var, whole.running_var) < 1e-12
    assert torch.equal(one.eval()(x), whole.eval()(x)) or relative_error(one(x), whole(x)) < 1e-12
    with pytest.raises(UsageError, match="more than 1 value"):
        make_norm("bn:virtual_batch=2", C)(torch.randn(5, C, 1, 1))
    with pytest.raises(UsageError, match="at least 1 sample"):
        make_norm("bn:virtual_batch=-1", C)
    with pytest.raises(UsageError, match="leave one of the two out"):
        make_norm("bn:virtual_batch=2,frozen=true", C)


def test_a_frozen_batch_norm_is_one_map() -> None:
    layer = make_norm("bn:frozen=true", C).double()
    layer.running_mean.copy_(torch.linspace(-1, 1, C))
    layer.running_var.copy_(torch.linspace(0.5, 2, C))
    before = layer.running_mean.clone()
    x = images(2).requires_grad_()
    expected = functional.batch_norm(x, layer.running_mean, layer.running_var)
    assert relative_error(layer(x), expected) < 1e-12
    layer(x).sum().backward()
    assert torch.equal(layer.running_mean, before)
    assert layer.weight.grad is not None


def test_renorm_is_batch_norm_at_first_and_evaluation_is_batch_norms() -> None:
    renorm, batch = make_norm("brn", C).double(), make_norm("bn", C).double()
    for seed in range(3):
        x = images(seed)
        assert relative_error(renorm(x), batch(x)) < 2e-2  # the limits have hardly grown
    assert relative_error(renorm.running_var, batch.running_var) < 1e-12
    assert relative_error(renorm.eval()(x), batch.eval()(x)) < 1e-12
    with pytest.raises(UsageError, match="r_max ≥ 1"):
        BatchRenorm2d(4, r_max=0.5)


def test_filter_response_thresholds() -> None:
    layer = trained("frn")
    x, residual = images(1), images(2)
    z, tau = bare_frn(layer, x), channel(layer.threshold)
    assert relative_error(layer(x, None, "relu"), torch.maximum(z, tau)) < 1e-12
    assert relative_error(layer(x, residual, "relu"), torch.maximum(z + residual, tau)) < 1e-12


def test_evonorm_is_its_own_activation() -> None:
    layer = trained("evonorm-s0:groups=2")
    x, residual = images(1), images(2)
    assert relative_error(layer(x, None, "relu"), own_evonorm(layer, x)) < 1e-12
    expected = torch.relu(own_evonorm(layer, x) + residual)
    assert relative_error(layer(x, residual, "relu"), expected) < 1e-12
    last = parse_norm("evonorm-s0:groups=2").make(C, last=True)
    assert last.slope is None
    assert relative_error(last.double()(x), functional.group_norm(x, 2)) > 0.1  # keeps its mean
    with pytest.raises(UsageError, match="do not divide"):
        make_norm("evonorm-s0:groups=3", C)


def test_global_response_of_an_empty_plane_has_a_gradient() -> None:
    layer = trained("grn")
    x = torch.zeros(2, C, 3, 3, dtype=torch.float64, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.isfinite().all()


# --- networks


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_skipinit_and_fixup_start_as_the_identity(shortcut: str) -> None:
    """Blocks pass their input on; the logits do not depend on depth."""
    generator = torch.Generator().manual_seed(0)
    network = normlab.resnet(2, 5, "none:init=skipinit", shortcut=shortcut, generator=generator)
    assert sum(isinstance(m, SkipInit2d) for m in network.modules()) == 6
    x = torch.randn(3, 3, 16, 16, generator=generator)
    stem = network.stem(x)
    assert torch.equal(network.stages[0](stem), stem)
    fixup = normlab.resnet(3, 5, "none:init=fixup", shortcut=shortcut, generator=generator)
    assert sum(isinstance(m, FixupScale2d) for m in fixup.modules()) == 9
    assert torch.equal(fixup(x), torch.zeros(3, 5))
    plain = normlab.resnet(3, 5, "none", generator=torch.Generator().manual_seed(1))
    scaled = normlab.resnet(3, 5, "none:init=fixup", generator=torch.Generator().manual_seed(1))
    one, other = plain.stages[1][0].conv1.weight, scaled.stages[1][0].conv1.weight
    assert torch.allclose(other * 3, one)


def test_weight_standardization() -> None:
    layer = WeightStandardizedConv2d(4, 6, 3, bias=False).double()
    nn.init.normal_(layer.weight, 3.0)
    flat = layer.standardized().flatten(1)
    assert flat.mean(1).abs().max() < 1e-12
    assert relative_error(flat.var(1, correction=0), torch.ones(6)) < 1e-4
    x = torch.randn(2, 4, 7, 7, dtype=torch.float64)
    assert relative_error(layer(x), functional.conv2d(x, layer.standardized())) < 1e-12
    network = normlab.resnet(1, 3, "gn:groups=4+ws")
    kinds = {type(m) for m in network.modules() if isinstance(m, nn.Conv2d)}
    assert kinds == {WeightStandardizedConv2d}
    network.load_state_dict(normlab.resnet(1, 3, "gn:groups=4").state_dict())
    assert str(parse_norm("gn:groups=4+ws")) == "gn:groups=4+ws"
    assert str(parse_norm("bn+ws")) == "bn+ws"


@pytest.mark.parametrize(
    "spec",
    [*norm_names(), "bn:virtual_batch=8", "gn+ws", "none:init=skipinit", "none:init=fixup"],
)
def test_every_norm_trains(spec: str) -> None:
    """Twenty steps on bright and dark pictures; the loss falls, every parameter has a gradient."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(16) % 2
    x = torch.randn(16, 3, 12, 12, generator=generator) + 2 * labels[:, None, None, None]
    network = normlab.resnet(1, 2, spec, generator=generator)
    groups = normlab.parameter_groups(network, 0.02)
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    losses = []
    for _ in range(20):
        loss = functional.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        normlab.clamp_gates(network)
        losses.append(float(loss.detach()))
    assert all(p.grad is not None for p in network.parameters())
    assert losses[-1] < 0.6 * losses[0]


def test_precise_statistics_of_half_the_channels() -> None:
    """Of `ibn` those that go by batch."""
    model = nn.Sequential(make_norm("bn", C), make_norm("ibn", C))
    x = images(3).float() + 5
    precise_statistics(model, [x])
    z = functional.batch_norm(x, None, None, training=True)
    half = C - len(model[1].running_mean)
    assert relative_error(model[0].running_mean, x.mean((0, 2, 3))) < 1e-6
    assert (model[1].running_mean - z.mean((0, 2, 3))[half:]).abs().max() < 1e-5


def test_a_norm_that_was_made_frozen_stays_so() -> None:
    model = nn.Sequential(make_norm("bn:frozen=true", C))
    model[0].running_mean.fill_(3)
    assert precise_statistics(model, [images(3).float()]).layers == ()
    assert unfreeze(model) == []
    convert_norms(model, "bn")
    model.train()(images(3).float())
    assert (model[0].running_mean == 3).all()


@pytest.mark.parametrize("norm", ["brn", "bn:frozen=true"])
def test_a_norm_that_needs_running_statistics_gets_them(norm: str) -> None:
    model = nn.Sequential(nn.BatchNorm2d(C, track_running_stats=False))
    done = convert_norms(model, norm)
    assert "it needs them" in str(done)
    assert model.train()(images(3).float()).isfinite().all()


@pytest.mark.parametrize("norm", ["bn", "bin", "brn", "ibn", "bn:virtual_batch=2"])
def test_states_without_a_count_and_a_reset(norm: str) -> None:
    """As torch: the count is missing in old states; `reset_parameters` is the start, all of it."""
    layer = make_norm(norm, C)
    fresh = copy.deepcopy(layer.state_dict())
    layer(images(3).float())
    old = {k: v for k, v in layer.state_dict().items() if not k.endswith("num_batches_tracked")}
    other = make_norm(norm, C)
    assert str(other.load_state_dict(old)) == "<All keys matched successfully>"
    assert int(other.num_batches_tracked) == 0
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({k: v for k, v in old.items() if k != "running_mean"})
    layer.reset_parameters()
    assert all(torch.equal(v, fresh[k]) for k, v in layer.state_dict().items())
    with torch.device("meta"):
        layer = make_norm(norm, C)
    layer.to_empty(device="cpu")
    for buffer in layer.buffers():
        buffer.fill_(7)
    layer.reset_parameters()
    assert all(torch.equal(v, fresh[k]) for k, v in layer.state_dict().items())


def test_the_table_names_papers_and_parameters() -> None:
    for code, info in NORMS.items():
        layer = info.make(C, **info.options)
        count = sum(p.numel() for p in layer.parameters() if p.numel() == C)
        assert count == info.parameters_per_channel * C, code
