"""The compiled CPU operators against the reference functions, called directly."""

import hashlib
import itertools
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from normlab.norms.functional import planes
from normlab.norms.functional.activation import ACTIVATIONS
from normlab.norms.fused.cpu import build, loader
from normlab.norms.fused.cpu.memory import keep_freed_memory

needs_kernel = pytest.mark.skipif(
    loader.library_path() is None, reason="no compiled kernel (no C++ compiler, or switched off)"
)
SHAPES = [
    (2, 3, 5, 7),
    (1, 1, 1, 1),
    (3, 16, 8, 8),
    (2, 24, 7, 7),
    (4, 64, 1, 1),
    (2, 70, 9, 3),  # more than a whole number of registers of channels
    (1, 2, 100, 131),  # several tiles a plane
    (1, 300, 40, 3),  # several tiles a sample, more channels than a row of registers
    (2, 1, 33, 9),
]
LAYOUTS = ["contiguous", "channels_last", "strided"]
DTYPES = [torch.float32, torch.bfloat16]
TOLERANCE = {torch.float32: 3e-6, torch.bfloat16: 1e-2}


def tensor(shape, layout, dtype, seed, mean=0.0):
    n, c, h, w = shape
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn((n, c, h, 2 * w), generator=generator)[..., ::2].to(dtype) + mean
    match layout:
        case "contiguous":
            return values.contiguous()
        case "channels_last":
            return values.contiguous(memory_format=torch.channels_last)
        case "strided":
            return torch.randn((n, c, h, 2 * w), generator=generator).to(dtype)[..., ::2] + mean


def plane_values(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape[:2], generator=generator)


def distance(found, expected):
    """Largest difference relative to the largest magnitude."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    found, expected = found.double(), expected.double()
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-3))


def same_layout(a, b):
    layouts = (torch.contiguous_format, torch.channels_last)
    return any(all(t.is_contiguous(memory_format=m) for t in (a, b)) for m in layouts)


@pytest.fixture(autouse=True)
def one_thread():
    """Waking threads for such small tensors takes longer than the work, on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=list(itertools.product(SHAPES, LAYOUTS, DTYPES)), ids=str)
def case(request):
    shape, layout, dtype = request.param
    return shape, layout, dtype, tensor(shape, layout, dtype, seed=0, mean=1.0)


@needs_kernel
def test_statistics(case):
    x = case[-1]
    mean, variance = planes.statistics(x)
    expected_mean, expected_variance = planes.plain_statistics(x.double())
    assert distance(mean, expected_mean.float()) < 1e-6
    assert distance(variance, expected_variance.float()) < 1e-6


@needs_kernel
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_affine(case, activation):
    shape, layout, dtype, x = case
    center, offset = plane_values(shape, 1), plane_values(shape, 2)
    scale = plane_values(shape, 3)[:1].expand(shape[:2])  # per channel, as evaluation has it
    for other in (None, *LAYOUTS):
        residual = None if other is None else tensor(shape, other, dtype, seed=4)
        y = planes.affine(x, center, scale, offset, residual, activation)
        expected = planes.plain_affine(x, center, scale, offset, residual, activation)
        assert distance(y, expected) < TOLERANCE[dtype]
        assert layout == "strided" or same_layout(y, x)


@needs_kernel
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_sums(case, activation):
    shape, _, dtype, x = case
    center = plane_values(shape, 1)
    for other in LAYOUTS:
        dy = tensor(shape, other, dtype, seed=5)
        pivot = None if activation == "none" else tensor(shape, other, dtype, seed=6)
        found = planes.sums(dy, x, center, pivot, activation)
        wide = None if pivot is None else pivot.double()
        expected = planes.reference_sums(dy.double(), x.double(), center, wide, activation)
        size = (shape[2] * shape[3]) ** 0.5  # terms cancel: relative to their usual sum
        for s, e in zip(found, expected, strict=True):
            assert float((s - e).abs().max()) < 1e-6 * (float(e.abs().max()) + size)


@needs_kernel
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_affine_backward(case, activation):
    shape, layout, dtype, x = case
    center, scale, p, q = (plane_values(shape, seed) for seed in range(4))
    for other, needs_dz in itertools.product(LAYOUTS, (False, True)):
        dy = tensor(shape, other, dtype, seed=5)
        pivot = None if activation == "none" else tensor(shape, other, dtype, seed=6)
        dx, dz = planes.affine_backward(
            dy, x, center, pivot, scale, p, q, activation, needs_dz=needs_dz
        )
        expected_dx, expected_dz = planes.reference_affine_backward(
            dy, x, center, pivot, scale, p, q, activation, needs_dz
        )
        assert distance(dx, expected_dx) < TOLERANCE[dtype]
        assert layout == "strided" or same_layout(dx, x)
        assert (dz is not None) == needs_dz
        if dz is not None:
            assert distance(dz, expected_dz) < TOLERANCE[dtype]


def test_a_wrong_result_is_found():
    x = tensor((2, 3, 5, 7), "contiguous", torch.float32, seed=0)
    assert distance(x + 1e-4, x) > TOLERANCE[torch.float32]


@needs_kernel
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("mean", [1, 10, 1e3, 1e4])
def test_variance_of_values_far_from_zero(mean, layout):
    for shape in [(4, 3, 64, 64), (1, 2, 300, 300), (8, 16, 8, 8)]:
        x = tensor(shape, layout, torch.float32, seed=0, mean=mean)
        expected = planes.plain_statistics(x.double())[1]
        assert float(((planes.statistics(x)[1] - expected) / expected).abs().max()) < 2e-6


@needs_kernel
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_nan_and_infinity_go_through_as_in_torch(activation, layout):
    inf, nan = float("inf"), float("nan")
    row = [nan, inf, -inf, 0.0, 1.0, -1.0, 88.8, -88.8, 200.0, -200.0, 104.0, -104.0, 3.0]
    x = torch.tensor(row * 6).reshape(1, 2, 3, 13)
    x = x.contiguous(memory_format=getattr(torch, f"{layout}_format", torch.channels_last))
    zero, one = torch.zeros(1, 2), torch.ones(1, 2)
    y = planes.affine(x, zero, one, zero, None, activation)
    torch.testing.assert_close(y, planes.activate(x, activation), equal_nan=True)
    for value in (1.0, nan, inf):
        dy = torch.full_like(x, value)
        _, dz = planes.affine_backward(dy, x, zero, x, one, zero, zero, activation, needs_dz=True)
        expected = planes.activation_gradient(dy, x, activation)
        torch.testing.assert_close(dz, expected, equal_nan=True)


@needs_kernel
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_same_numbers_for_any_number_of_threads(layout):
    x = tensor((2, 6, 150, 150), layout, torch.float32, seed=0)
    zero = torch.zeros(2, 6)
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append((*planes.statistics(x), *planes.sums(x, x, zero, x, "relu")))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@needs_kernel
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_types_go_to_the_reference(dtype):
    x = tensor((2, 3, 4, 5), "contiguous", dtype, seed=0)
    values = plane_values(x.shape, 0).to(planes.statistics_dtype(x))
    y = planes.affine(x, values, values, values, x, "relu")
    assert torch.equal(y, planes.plain_affine(x, values, values, values, x, "relu"))
    arguments = (x, x, values, y, values, values, values, "relu")
    for needs_dz in (False, True):
        found = planes.affine_backward(*arguments, needs_dz=needs_dz)
        expected = planes.reference_affine_backward(*arguments, needs_dz)
        assert torch.equal(found[0], expected[0])
        assert found[1] is None or torch.equal(found[1], expected[1])


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 0, 4)])
def test_empty(shape):
    x, values = torch.zeros(shape), torch.zeros(shape[:2])
    assert planes.affine(x, values, values, values, None, "relu").shape == shape
    assert [t.shape for t in planes.sums(x, x, values, x, "relu")] == [shape[:2]] * 2
    assert planes.affine_backward(x, x, values, x, values, values, values, "relu")[0].shape == shape


def backend_of(**environment: str) -> str:
    """What a fresh process says serves the CPU, and that its norms work."""
    code = (
        "import torch; from normlab.norms.fused.cpu.loader import backend\n"
        "from normlab.norms.layers.batch import BatchNorm2d\n"
        "BatchNorm2d(3)(torch.randn(2, 3, 4, 4, requires_grad=True)).sum().backward()\n"
        "print(backend('cpu'))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.slow
def test_switched_off():
    assert backend_of(NORMLAB_KERNELS="0") == "reference"


@pytest.mark.slow
def test_without_a_compiler_the_reference_serves(tmp_path: Path):
    empty = {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": str(tmp_path)}
    assert backend_of(**empty, CXX="") == "reference"


@pytest.mark.slow
def test_a_compiler_that_fails_is_asked_once(tmp_path: Path):
    cache = {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path), "NORMLAB_KERNELS": "1"}
    failing = tmp_path / "c++"
    failing.write_text("#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    cache["CXX"] = str(failing)
    assert backend_of(**cache) == "reference"
    assert len(list(tmp_path.rglob("*.failed"))) == 1
    assert not list(tmp_path.rglob(".build-*"))
    failing.write_text("#!/bin/sh\necho asked again >&2; touch asked; exit 1\n")
    assert backend_of(**cache) == "reference"
    assert not Path("asked").exists()


@needs_kernel
@pytest.mark.slow
@pytest.mark.parametrize("content", ["half", "text"])
def test_a_broken_library_in_the_cache_is_never_loaded(tmp_path: Path, content: str):
    """Half of one is mapped without a word and ends the process where it is touched (SIGBUS)."""
    cache = {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    path = loader.library_path()
    assert path is not None
    broken = tmp_path / "normlab/kernels" / f"torch-{torch.__version__}" / path.name
    if sys.platform == "darwin":
        broken = tmp_path / "Library/Caches" / broken.relative_to(tmp_path)
    broken.parent.mkdir(parents=True)
    whole = path.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2] if content == "half" else b"not a library")
    build.seal_of(broken).write_text(hashlib.sha256(whole).hexdigest())
    assert backend_of(**cache, CXX="no-such-compiler") == "reference"
    if content == "half" and build.compiler() is not None:  # and it is made again
        assert backend_of(**cache).startswith("compiled")
        assert build.is_whole(broken)


@needs_kernel
@pytest.mark.skipif(build.compiler() is None, reason="no C++ compiler")
@pytest.mark.slow
def test_two_processes_build_at_once(tmp_path: Path):
    library = tmp_path / "kernels" / build.library_name("baseline")
    code = (
        "import sys; from pathlib import Path; from normlab.norms.fused.cpu import build\n"
        "build.build(Path(sys.argv[1]), 'baseline')"
    )
    command = [sys.executable, "-c", code, str(library)]
    environment = {**os.environ, "NORMLAB_KERNELS": "0"}
    processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert set(library.parent.iterdir()) == {library, build.seal_of(library)}
    assert build.is_whole(library)
    library.write_bytes(library.read_bytes()[:-1])
    assert not build.is_whole(library)


def test_no_compiler_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(build.BuildError, match="no compiler"):
        build.build(tmp_path / "x.so", "baseline")


@needs_kernel
def test_backend_names_what_serves():
    assert loader.backend("cpu") == f"compiled ({build.instruction_set()})"
    assert loader.backend("cuda") == "reference"


def test_freed_memory_is_kept_only_if_wanted(monkeypatch):
    monkeypatch.setenv("NORMLAB_KEEP_MEMORY", "0")
    assert not keep_freed_memory()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only")
@pytest.mark.slow
def test_kept_memory_is_not_faulted_in_again():
    code = (
        "import resource, torch; from normlab.norms.fused.cpu.memory import keep_freed_memory\n"
        "assert keep_freed_memory()\n"
        "def fill(): torch.ones(16, 2**20)\n"
        "for _ in range(9): fill()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(5): fill()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NORMLAB_KEEP_MEMORY"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 1000  # 5 × 16384 pages otherwise
