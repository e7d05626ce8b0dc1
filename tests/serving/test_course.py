"""The course's program, with networks as three authors would write them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from normlab.errors import DataError, UsageError
from normlab.serving.course.network import load_course_network
from normlab.serving.course.program import infer
from normlab.train_cifar import arguments_of_train


class FourAxes(nn.Module):
    """Batch or batch-instance normalization with tensors of shape (1, C, 1, 1)."""

    def __init__(self, channels: int, gate: bool) -> None:
        super().__init__()
        shape = (1, channels, 1, 1)
        self.gamma = nn.Parameter(torch.rand(shape) + 0.5)
        self.beta = nn.Parameter(torch.randn(shape))
        self.rho = nn.Parameter(torch.rand(shape)) if gate else None
        self.register_buffer("moving_mean", torch.randn(shape))
        self.register_buffer("moving_var", torch.rand(shape) + 0.5)

    def forward(self, x):
        y = (x - self.moving_mean) / (self.moving_var + 1e-5).sqrt()
        if self.rho is not None:
            y = self.rho * y + (1 - self.rho) * functional.instance_norm(x, eps=1e-5)
        return self.gamma * y + self.beta


class CourseBlock(nn.Module):
    def __init__(self, before: int, filters: int, stride: int, gate: bool) -> None:
        super().__init__()
        self.shortcut = None
        if stride == 2 or before == 3:
            self.shortcut = nn.Conv2d(before, filters, 1, stride)
            self.shortcut_norm = FourAxes(filters, gate)
        self.c1 = nn.Conv2d(before, filters, 3, stride, 1)
        self.n1 = FourAxes(filters, gate)
        self.c2 = nn.Conv2d(filters, filters, 3, 1, 1)
        self.n2 = FourAxes(filters, gate)

    def forward(self, x):
        y = self.n2(self.c2(self.n1(self.c1(x)).relu()))
        return (y + (x if self.shortcut is None else self.shortcut_norm(self.shortcut(x)))).relu()


class CourseNetwork(nn.Module):
    """Biases, four axes, the shortcut before the rest, the classifier first in the file."""

    def __init__(self, n: int, classes: int, gate: bool) -> None:
        super().__init__()
        self.out = nn.Linear(64, classes)
        self.start = nn.Conv2d(3, 16, 3, 1, 1)
        self.start_norm = FourAxes(16, gate)
        for number, (before, filters) in enumerate([(16, 16), (16, 32), (32, 64)], start=1):
            blocks = [CourseBlock(before, filters, 1 if number == 1 else 2, gate)]
            blocks += [CourseBlock(filters, filters, 1, gate) for _ in range(n - 1)]
            setattr(self, f"layer{number}", nn.Sequential(*blocks))

    def forward(self, x):
        y = self.start_norm(self.start(x)).relu()
        return self.out(self.layer3(self.layer2(self.layer1(y))).mean((2, 3)))


class LibraryBlock(nn.Module):
    """With torchvision's names: bn1, downsample.0, downsample.1."""

    def __init__(self, before: int, filters: int, stride: int, project: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        if project:
            convolution = nn.Conv2d(before, filters, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (self.downsample(x) if hasattr(self, "downsample") else x)).relu()


class LibraryNetwork(nn.Module):
    def __init__(self, n: int, classes: int, projecting: tuple[bool, bool, bool]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for number, (before, filters) in enumerate([(16, 16), (16, 32), (32, 64)]):
            stride = 1 if number == 0 else 2
            blocks = [LibraryBlock(before, filters, stride, projecting[number])]
            blocks += [LibraryBlock(filters, filters, 1, False) for _ in range(n - 1)]
            setattr(self, f"layer{number + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        return self.fc(self.layer3(self.layer2(self.layer1(y))).mean((2, 3)))


class PaddedBlock(nn.Module):
    """Option A, all convolutions before all norms, which are called g and b."""

    def __init__(self, before: int, filters: int, stride: int) -> None:
        super().__init__()
        self.stride, self.extra = stride, filters - before
        first = nn.Conv2d(before, filters, 3, stride, 1, bias=False)
        self.convs = nn.ModuleList([first, nn.Conv2d(filters, filters, 3, 1, 1, bias=False)])
        self.norms = nn.ModuleList([Grouped(filters), Grouped(filters)])

    def forward(self, x):
        y = self.norms[1](self.convs[1](self.norms[0](self.convs[0](x)).relu()))
        kept = x[:, :, :: self.stride, :: self.stride]
        return (y + functional.pad(kept, (0, 0, 0, 0, 0, self.extra))).relu()


class Grouped(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.rand(channels) + 0.5)
        self.b = nn.Parameter(torch.randn(channels))

    def forward(self, x):
        return functional.group_norm(x, 4, self.g, self.b, 1e-5)


class PaddedNetwork(nn.Module):
    def __init__(self, n: int, classes: int) -> None:
        super().__init__()
        self.entry = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), Grouped(16))
        sizes = [(16, 16, 1), *[(16, 16, 1)] * (n - 1), (16, 32, 2), *[(32, 32, 1)] * (n - 1)]
        sizes += [(32, 64, 2), *[(64, 64, 1)] * (n - 1)]
        self.blocks = nn.ModuleList(PaddedBlock(*size) for size in sizes)
        self.last = nn.Linear(64, classes)

    def forward(self, x):
        y = self.entry(x).relu()
        for block in self.blocks:
            y = block(y)
        return self.last(y.mean((2, 3)))


def randomized(network: nn.Module) -> nn.Module:
    """Running statistics as after some training."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


NETWORKS = {
    "four axes, bn": (lambda: CourseNetwork(2, 25, gate=False), "bn", "option B"),
    "four axes, bin": (lambda: CourseNetwork(2, 10, gate=True), "bin", "option B"),
    "torchvision": (lambda: LibraryNetwork(2, 10, (False, True, True)), "inbuilt", "option B"),
    "all stages project": (lambda: LibraryNetwork(1, 7, (True, True, True)), "bn", "option B"),
    "twelve blocks": (lambda: PaddedNetwork(12, 3), "gn:groups=4", "option A"),
}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_somebodys_weights_give_somebodys_logits(kind: str, ending: str, tmp_path: Path):
    torch.manual_seed(0)
    make, norm, option = NETWORKS[kind]
    network = randomized(make())
    path = tmp_path / f"model.{ending}"
    if ending == "pth":
        torch.save({"epoch": 3, "state_dict": network.state_dict()}, path)
    else:  # which keeps no order
        save_file(network.state_dict(), path)
    found = load_course_network(path, norm)
    x = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(found.network(x), network(x), rtol=1e-4, atol=1e-4)
    assert option in str(found)


def test_the_comparison_can_fail(tmp_path: Path):
    torch.manual_seed(0)
    network = randomized(LibraryNetwork(2, 10, (False, True, True)))
    state = network.state_dict()
    state["layer2.1.bn1.running_mean"] = state["layer2.1.bn1.running_mean"] + 1
    torch.save(state, tmp_path / "model.pth")
    x = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        other = load_course_network(tmp_path / "model.pth", "bn").network(x)
        assert (other - network(x)).abs().max() > 1e-3


def write_pixels(path: Path, lines: int) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (lines, 3072))
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in pixels))
    return pixels


@pytest.mark.slow
def test_the_program_writes_a_class_a_line(tmp_path: Path):
    torch.manual_seed(0)
    network = randomized(LibraryNetwork(1, 10, (False, True, True)))
    torch.save(network.state_dict(), tmp_path / "net.pth")
    pixels = write_pixels(tmp_path / "test.csv", 130)  # more than one batch
    command = [sys.executable, "-m", "normlab.infer", "-model_file", "net.pth"]
    command += ["--normalization", "inbuilt", "--n", "1", "--test_data_file", "test.csv"]
    command += ["--output_file", "out.csv", "--mean", ".5,.5,.5", "--std", ".25,.25,.25"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "n = 1 (8 layers), r = 10, option B" in done.stderr
    x = (torch.tensor(pixels).reshape(-1, 3, 32, 32) / 255 - 0.5) / 0.25
    with torch.no_grad():
        expected = network(x.float()).argmax(1)
    assert list(map(int, (tmp_path / "out.csv").read_text().split())) == expected.tolist()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (",".join(["1"] * 3071), "line 1 has 3071 values, not 3·S·S"),
        (",".join(["0.5"] * 3072), "scaled to 0 to 1"),
        (",".join(["256"] * 3072), "outside of 0 to 255"),
        ("path,class", "is not numbers with commas"),
        ("", "is empty"),
    ],
)
def test_a_table_that_is_none_writes_nothing(text: str, sentence: str, tmp_path: Path):
    torch.save(PaddedNetwork(1, 4).state_dict(), tmp_path / "net.pth")
    (tmp_path / "test.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        infer(tmp_path / "net.pth", "gn", 1, tmp_path / "test.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_the_training_program_has_the_names_of_the_earlier_years() -> None:
    given = ["-normalization", "nn", "--data_dir", "cifar", "--output_file", "m.pth", "--n", "2"]
    words, run, output = arguments_of_train([*given, "--seed", "3"])
    assert words[:6] == ["train", "cifar", "--norm", "none", "--model", "cifar-resnet14"]
    assert words[-4:] == ["--image-size", "32", "--seed", "3"]
    assert (run, output) == (Path("m.pth-run"), Path("m.pth"))
    with pytest.raises(UsageError, match=r"required: .*--normalization"):
        arguments_of_train(given[2:])
    with pytest.raises(UsageError, match="1 to 1000, got 0"):
        arguments_of_train([*given[:-1], "0"])


@pytest.mark.slow
def test_what_the_training_program_writes_the_inference_program_takes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "normlab.train_cifar", "--normalization", "torch_bn", "--n"]
    command += ["1", "--data_dir", "demo:digits", "--output_file", "m.pth", "--num_epochs", "1"]
    command += ["--image-size", "8", "--no-live"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    write_pixels(tmp_path / "test.csv", 3)
    infer(tmp_path / "m.pth", "inbuilt", 1, tmp_path / "test.csv", tmp_path / "out.csv")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("make", "norm", "n", "sentence"),
    [
        (lambda: PaddedNetwork(2, 4), "gn", 3, "so n = 2, and n = 3 was given; say --n 2"),
        (lambda: PaddedNetwork(1, 4), "bn", 1, "bn has .*running_mean.* weights have weight, bias"),
        (lambda: PaddedNetwork(1, 4), "nn", 1, "has nothing of its own, and the weights have"),
        (lambda: nn.Sequential(nn.Linear(4, 4)), "bn", 1, "0 convolutions of 3×3, which is not"),
        (lambda: nn.Sequential(nn.Conv2d(3, 64, 7), nn.Linear(4, 4)), "bn", 1, r"of \(7, 7\)"),
    ],
)
def test_weights_of_something_else_are_named(make, norm, n, sentence, tmp_path: Path):
    torch.save(make().state_dict(), tmp_path / "net.pth")
    with pytest.raises(UsageError, match=sentence):
        load_course_network(tmp_path / "net.pth", norm, n)


class Hostile:
    def __reduce__(self):
        return (Path("/tmp/normlab-hostile").write_text, ("code ran",))


def test_code_in_a_file_is_not_run(tmp_path: Path):
    torch.save({"state_dict": Hostile()}, tmp_path / "net.pth")
    with pytest.raises(UsageError, match="nobody's code is run"):
        load_course_network(tmp_path / "net.pth", "bn")
    assert not Path("/tmp/normlab-hostile").exists()
