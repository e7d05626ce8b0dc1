"""`normlab doctor`: what normlab finds on this machine, and what is missing for what."""

from __future__ import annotations

EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "onnx": (("onnx", "onnxscript", "onnxruntime"), "export to ONNX"),
    "hf": (("datasets",), "data sets of Hugging Face, hf:NAME"),
    "heic": (("pillow_heif",), "photographs as HEIC"),
    "parquet": (("pyarrow",), "tables and images in Parquet"),
    "torchvision": (("torchvision",), "data sets and networks torchvision:NAME, torchvision/NAME"),
    "timm": (("timm",), "networks timm/NAME"),
    "transformers": (("transformers",), "networks hf/FOLDER"),
    "ray": (("ray",), "runs on a cluster, --executor ray"),
    "mlflow": (("mlflow", "sqlalchemy", "alembic"), "--track mlflow"),
    "wandb": (("wandb",), "--track wandb"),
    "tensorboard": (("tensorboard",), "--track tensorboard"),
    "remote": (("fsspec", "s3fs"), "studies in object stores, --out s3://…"),
    "serve": (("fastapi", "uvicorn", "python_multipart"), "normlab serve"),
    "gpu": (("triton",), "the compiled norms on a GPU"),
    "docs": (("sphinx", "furo", "myst_parser"), "building the documentation"),
}
"""Extra → the modules that it brings, and their use; a test compares it with the package."""


def doctor() -> None:
    """Say which versions, devices, kernels and extras are here, and what is missing for what."""
    import platform

    import torch

    from normlab._version import __version__
    from normlab.cli.screen.console import make_console, say_facts
    from normlab.data.cache import cache_folder
    from normlab.data.cache_entries import cache_entries
    from normlab.norms.fused.cpu import loader

    console = make_console()
    say_facts(console, "normlab", [__version__, f"Python {platform.python_version()}"])
    say_facts(console, "machine", [platform.platform(), f"{_cores()} cores to use"])
    say_facts(console, "torch", [torch.__version__, f"{torch.get_num_threads()} threads"])
    say_facts(console, "cpu", _cpu_facts())
    say_facts(console, "gpu", _gpu_facts())
    folder = cache_folder()
    entries = cache_entries(folder, loader.cache_folder())
    size = sum(entry.bytes for entry in entries) / 2**20
    say_facts(console, "cache", [str(folder), f"{size:,.0f} MiB", _writable(folder)])
    here = [name for name, (modules, _) in EXTRAS.items() if not missing_of(modules)]
    say_facts(console, "extras", here or ["none"])
    for name, (modules, purpose) in EXTRAS.items():
        if absent := missing_of(modules):
            reason = f"{', '.join(absent)} for {purpose}"
            say_facts(console, "missing", [reason, f'pip install "normlab[{name}]"'])


def missing_of(modules: tuple[str, ...]) -> list[str]:
    """The modules that are not installed."""
    from importlib.util import find_spec

    return [name for name in modules if find_spec(name) is None]


def _cores() -> int:
    import os

    counted = getattr(os, "process_cpu_count", os.cpu_count)
    return counted() or 1


def _cpu_facts() -> list[str]:
    """What computes the norms here, and why it is that."""
    from normlab.norms.functional import planes  # noqa: F401 - its import loads the kernel
    from normlab.norms.fused.cpu import build, loader

    facts = [loader.backend("cpu")]
    found = build.compiler()
    if (path := loader.library_path()) is not None:
        return [*facts, str(path)]
    facts.append(f"this processor has {build.instruction_set()}")
    if found is None:
        return [*facts, "no C++ compiler was found; with g++ or clang++ norms are compiled once"]
    return [*facts, f"compiler {' '.join(found)}"]


def _gpu_facts() -> list[str]:
    import torch

    from normlab.norms.fused.cpu import loader

    if not torch.cuda.is_available():
        build = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else ""
        return ["no CUDA device", *filter(None, [build or "torch is built without CUDA"])]
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [*names, loader.backend("cuda"), f"CUDA {torch.version.cuda}"]


def _writable(folder: object) -> str:
    import os
    from pathlib import Path

    place = Path(str(folder))
    while not place.exists() and place != place.parent:
        place = place.parent
    return "writable" if os.access(place, os.W_OK) else "not writable; set NORMLAB_CACHE"
