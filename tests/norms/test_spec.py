"""Spec strings: canonical form, round trip, errors with remedies; the registry as data."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import normlab
from normlab.errors import UnknownNameError, UsageError
from normlab.norms.layers.baselines import NoNorm2d, TorchBatchNorm2d
from normlab.norms.registry import NORMS
from normlab.norms.spec import describe, make_norm, norm_names, parse_norm

USES_BATCH_STATISTICS = {"bn", "bin", "torch-bn", "brn", "sn", "ibn"}
OPTION_VALUES = {
    "momentum": st.floats(0, 1),
    "eps": st.floats(0, 1),
    "gate": st.floats(0, 1),
    "groups": st.integers(1, 512) | st.integers(1, 512).map(lambda number: f"{number}~"),
    "channels": st.integers(0, 512),
    "axes": st.sampled_from(["c", "chw"]),
    "virtual_batch": st.integers(0, 512),
    "frozen": st.sampled_from(["true", "false"]),
    "r_max": st.floats(1, 10),
    "d_max": st.floats(0, 10),
    "warmup": st.integers(0, 10_000),
    "alpha": st.floats(0, 2),
    "init": st.sampled_from(["skipinit", "fixup"]),
}


@st.composite
def spec_texts(draw: st.DrawFn) -> str:
    """Any norm with any of its options, in any order, with spaces."""
    code = draw(st.sampled_from(norm_names()))
    keys = draw(st.lists(st.sampled_from(sorted(NORMS[code].options) or [""]), unique=True))
    space = draw(st.sampled_from(["", " "]))
    options = (f"{space}{key}{space}={space}{draw(OPTION_VALUES[key])}" for key in keys if key)
    return f"{code}:{','.join(options)}"


@given(spec_texts())
def test_round_trip(text: str) -> None:
    spec = parse_norm(text)
    again = parse_norm(str(spec))
    assert again == spec
    assert str(again) == str(spec)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("bn", "bn"),
        ("bn:", "bn"),
        (" bn ", "bn"),
        ("bn:momentum=0.1,eps=1e-5", "bn"),
        ("bn:momentum=.2,eps=1e-3", "bn:eps=0.001,momentum=0.2"),
        ("bn:eps=1e-3,momentum=.2", "bn:eps=0.001,momentum=0.2"),
        ("gn:groups=8", "gn"),
        ("gn: groups = 4 ", "gn:groups=4"),
        ("ln:axes=chw", "ln"),
        ("ln:axes=c", "ln:axes=c"),
        ("bin:gate=1", "bin"),
        ("bin:gate=0", "bin:gate=0.0"),
        ("none", "none"),
        ("torch-bn:momentum=1", "torch-bn:momentum=1.0"),
        ("bn:virtual_batch=0,frozen=false", "bn"),
        (" gn:groups=4 +ws ", "gn:groups=4+ws"),
        ("none:init=fixup", "none:init=fixup"),
    ],
)
def test_canonical_form(text: str, canonical: str) -> None:
    """Two texts of one meaning are one arm: the run's id is a hash of this form."""
    assert str(parse_norm(text)) == canonical


@pytest.mark.parametrize(
    ("text", "type_", "attributes"),
    [
        ("bn:momentum=0.3", normlab.BatchNorm2d, {"momentum": 0.3, "eps": 1e-5}),
        ("in:eps=1e-3", normlab.InstanceNorm2d, {"eps": 1e-3, "affine": True}),
        ("bin:gate=0.25", normlab.BatchInstanceNorm2d, {"initial_gate": 0.25}),
        ("ln", normlab.LayerNorm2d, {"num_channels": 16}),
        ("ln:axes=c", normlab.ChannelLayerNorm2d, {"num_channels": 16}),
        ("gn", normlab.GroupNorm2d, {"num_groups": 8, "num_channels": 16}),
        ("gn:groups=2", normlab.GroupNorm2d, {"num_groups": 2}),
        ("none", NoNorm2d, {}),
        ("torch-bn:eps=1e-4", TorchBatchNorm2d, {"eps": 1e-4}),
    ],
)
def test_options_reach_the_layer(text: str, type_: type, attributes: dict[str, object]) -> None:
    layer = make_norm(text, channels=16)
    assert type(layer) is type_
    for name, value in attributes.items():
        assert getattr(layer, name) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gnn", "unknown norm 'gnn'; did you mean 'gn'? available: bn, in, bin, ln, gn, none, "),
        ("bacth", "unknown norm 'bacth'; did you mean 'bn'?"),
        ("gruop", "unknown norm 'gruop'; did you mean 'gn'?"),
        ("xyzzy", "unknown norm 'xyzzy'; available"),
        ("", "unknown norm ''; available: bn, "),
        ("bn:momentun=0.1", "unknown option of bn 'momentun'; did you mean 'momentum'? available"),
        ("none:eps=1", "unknown option of none 'eps'; available: init"),
        ("gn:groups", "option 'groups' of gn has no value; write groups=8"),
        ("gn:groups=2,groups=4", "option 'groups' of gn is given twice; keep one"),
        ("gn:groups=many", "option groups of gn takes an integer, got 'many'"),
        ("gn:groups=8.5", "option groups of gn takes an integer, got '8.5'"),
        ("bn:eps=small", "option eps of bn takes a number, got 'small'"),
        ("bn:eps=", "option eps of bn takes a number, got ''"),
        ("gn:groups=7", "7 groups do not divide 16 channels; choose one of 1, 2, 4, 8, 16"),
        ("gn:groups=0", "0 groups do not divide 16 channels; choose one of 1, 2, 4, 8, 16"),
        ("gn:groups=-2", "-2 groups do not divide 16 channels; choose one of 1, 2, 4, 8, 16"),
        ("ln:axes=hw", "unknown axes of ln 'hw'; "),
        ("rms:axes=hw", "unknown axes of rms 'hw'; "),
        ("none:init=fixip", "unknown init of none 'fixip'; did you mean 'fixup'?"),
        ("bin:gate=1.5", "the gate blends batch (1) and instance (0); 1.5 is not in [0, 1]"),
        ("bin:gate=nan", "the gate blends batch (1) and instance (0); nan is not in [0, 1]"),
        ("bn:eps=-1", "eps is added to a variance, so -1.0 cannot be used; the usual is 1e-5"),
        ("ln:eps=inf", "eps is added to a variance, so inf cannot be used; the usual is 1e-5"),
        ("in:eps=nan", "eps is added to a variance, so nan cannot be used; the usual is 1e-5"),
        ("bn:momentum=2", "momentum is the weight of the new batch, and 2.0 is not in [0, 1]"),
        ("bin:momentum=nan", "momentum is the weight of the new batch, and nan is not in [0, 1]"),
    ],
)
def test_errors_name_the_rule_the_value_and_the_remedy(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_norm(text, channels=16)
    assert str(caught.value).startswith(sentence)


def test_unknown_names_have_their_own_type() -> None:
    with pytest.raises(UnknownNameError):
        parse_norm("gnn")
    with pytest.raises(ValueError, match="unknown norm"):  # for callers who know only Python's
        parse_norm("gnn")


@pytest.mark.parametrize("code", norm_names())
def test_the_registry_tells_the_truth(code: str) -> None:
    """Parameters a channel and use of batch statistics, as the layer really has them."""
    info = NORMS[code]
    assert info.code == code
    layer = make_norm(code, channels=16).double()
    sizes = [p.numel() for p in layer.parameters()]
    assert sizes.count(16) == info.parameters_per_channel
    assert set(sizes) <= {16, 1, 3}  # one α of dyt, three shares of sn
    x = torch.randn(3, 16, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    alone, together = layer(x[:1]), layer(x)[:1]
    assert torch.allclose(alone, together) != (code in USES_BATCH_STATISTICS)
    defaults = {name: value for name, value in info.options.items() if hasattr(layer, name)}
    others = ("gate", "channels")  # a parameter; another way to say groups
    assert all(
        getattr(layer, name) == value for name, value in defaults.items() if name not in others
    )


def test_description_of_a_norm() -> None:
    row = describe(NORMS["bin"])
    assert row["options"] == "momentum=0.1, eps=1e-05, gate=1.0"
    assert row["parameters per channel"] == 3
    assert "1805.07925" in row["paper"]
    assert describe(NORMS["none"])["options"] == "init=…"
    assert norm_names()[:7] == ["bn", "in", "bin", "ln", "gn", "none", "torch-bn"]
    assert norm_names()[7:] == ["brn", "sn", "ibn", "rms", "frn", "evonorm-s0", "grn", "dyt"]
