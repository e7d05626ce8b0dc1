"""Conversion of timm's and torchvision's models of all families: converted or named, and right.

    python benchmarks/conversion.py            # one small model a family
    python benchmarks/conversion.py --all 140  # and the next small ones, up to so many
    python benchmarks/conversion.py --onnx     # export each to ONNX, too, where that is installed

Each model is built without weights, its running statistics and scales drawn at random. Then:

    torch-bn   every batch norm by the framework's own function: evaluation equal to the bit
    bn         our layer: the largest difference of a logit over the largest logit
    gn         groups=8~ in place of everything: a step of training, evaluation, a state that loads
    fold       the batch norms folded into convolutions: how many, and the difference

A row is a family; what was left and why, and every refusal, stands below.
"""

from __future__ import annotations

import argparse
import copy
import io
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
import normlab
from normlab.norms.surgery.recognize import view
from real_libraries import make_torchvision_importable

LARGEST = 30_000_000
"""Parameters: larger models are left out, which changes no family's kind of norm."""
TOO_LARGE = {"beit", "deepseek_vit", "gemma4_vit", "naflexvit", "nasnet", "pnasnet", "qwen3_vit"}
"""Families without a small model."""
CLASSES = 5


@dataclass
class Row:
    """What one model showed."""

    name: str
    family: str
    norms: Counter[str] = field(default_factory=Counter)
    converted: int = 0
    missed: tuple[tuple[str, str], ...] = ()
    torch_bn: str = "–"
    bn: float | None = None
    step: str = "–"
    folded: str = "–"
    fold_difference: float | None = None
    onnx: str = "–"
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0


def models(at_most: int | None) -> Iterator[tuple[str, str]]:
    """Library and name: the smallest model of every family, then the next ones."""
    import timm
    from torchvision import models as torchvision_models

    small = ["test_", "atto", "femto", "pico", "nano", "xxs", "_xs", "050", "lite0", "b0", "tiny"]
    small += ["_t", "18", "small", "_s", "m0", "mini"]

    def rank(name: str) -> tuple[int, int, str]:
        return next((i for i, h in enumerate(small) if h in name), len(small)), len(name), name

    by_family = {
        family: sorted(timm.list_models(module=family), key=rank)
        for family in timm.list_modules()
        if family not in TOO_LARGE
    }
    of_torchvision = defaultdict(list)
    for name in torchvision_models.list_models(module=torchvision_models):
        of_torchvision[torchvision_models.get_model_builder(name).__module__].append(name)
    found = 0
    for depth in range(2 if at_most is None else 20):
        for names in by_family.values():
            if depth < len(names) and (at_most is not None or depth == 0):
                yield "timm", names[depth]
                found += 1
        for names in of_torchvision.values():
            names.sort(key=rank)
            if depth < len(names) and (at_most is not None or depth == 0):
                yield "torchvision", names[depth]
                found += 1
        if at_most is not None and found >= at_most:
            return


def build(library: str, name: str) -> nn.Module:
    """The model without weights, with statistics and scales that are not those of the start."""
    if library == "timm":
        import timm

        model = timm.create_model(name, num_classes=CLASSES)
    else:
        from torchvision import models as torchvision_models

        model = torchvision_models.get_model(name, weights=None, num_classes=CLASSES)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            seen = view(module)
            for value in () if seen is None else (seen.weight, seen.running_var):
                if value is not None:
                    value.uniform_(0.5, 1.5, generator=generator)
    return model


def size_of(model: nn.Module, library: str, name: str) -> int:
    """The side of the images it is made for; a smaller one where it takes any."""
    configuration = getattr(model, "default_cfg", None) or getattr(model, "pretrained_cfg", {})
    size = configuration.get("input_size", (3, 224, 224))[-1] if library == "timm" else 224
    if library == "torchvision" and name.startswith("inception"):
        size = 299
    sizes = (96, size) if not configuration.get("fixed_input_size", library != "timm") else (size,)
    for side in sizes:
        try:
            with torch.no_grad():
                model.eval()(torch.zeros(1, 3, side, side))
            return side
        except Exception:
            continue
    return size


def logits(output: object) -> Tensor:
    """The first tensor of what a model returns."""
    while not isinstance(output, Tensor):
        output = next(iter(output))  # type: ignore[call-overload]
    return output


def relative(one: Tensor, other: Tensor) -> float:
    """The largest difference over the largest value."""
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-12))


def only_batch(model: nn.Module) -> set[str]:
    """The names of its batch norms."""
    seen = ((name, view(module)) for name, module in model.named_modules())
    return {name for name, found in seen if found is not None and found.kind == "batch"}


@torch.no_grad()
def compare(row: Row, model: nn.Module, x: Tensor) -> None:
    """Conversions within batch normalization, which must not change the function; then fold."""
    batch = only_batch(model)
    before = logits(model(x))
    if not batch:
        return
    for norm in ("torch-bn", "bn"):
        other = copy.deepcopy(model)
        normlab.convert_norms(other, norm, where=lambda name, _: name in batch)
        after = logits(other(x))
        if norm == "torch-bn":
            row.torch_bn = (
                "equal" if torch.equal(after, before) else f"{relative(after, before):.0e}"
            )
        else:
            row.bn = relative(after, before)
            folding = normlab.fold(other)
            row.folded = f"{len(folding.folded)}/{len(batch)}"
            row.fold_difference = relative(logits(other(x)), before)


def train(row: Row, model: nn.Module, size: int, norm: str) -> nn.Module | None:
    """Everything converted: a step, evaluation, and a state that loads."""
    conversion = normlab.convert_norms(model, norm)
    row.converted, row.missed = len(conversion.layers), conversion.missed
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    logits(model.train()(x)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    model.zero_grad(set_to_none=True)
    twin = copy.deepcopy(model)
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        finite = logits(model.eval()(x)).isfinite().all()
        same = torch.equal(logits(twin.eval()(x)), logits(model(x)))
    row.step = "right" if finite and same else "not finite" if not finite else "state differs"
    if without and len(without) > 20:
        row.refused.append(f"{len(without)} parameters without a gradient")
    return model


def to_onnx(model: nn.Module, size: int) -> str:
    """Whether ONNX's runtime computes what the converted model does."""
    import onnxruntime

    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(2))
    file = io.BytesIO()
    torch.onnx.export(model, (x,), dynamo=True, verbose=False).save(file)  # type: ignore[union-attr]
    session = onnxruntime.InferenceSession(file.getvalue())
    (y, *_) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        return f"{relative(torch.from_numpy(y), logits(model(x))):.0e}"


def examine(
    library: str, name: str, norm: str = "gn:groups=8~", *, onnx: bool = False
) -> Row | None:
    """Send one model through everything; None where it is too large."""
    start = time.perf_counter()
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        try:
            with torch.device("meta"):
                built = _of(library, name)
        except NotImplementedError:  # it looks at its own weights while it is built
            built = _of(library, name)
        if sum(p.numel() for p in built.parameters()) > LARGEST:
            return None
        family = type(built).__module__.rpartition(".")[2]
        row = Row(f"{library}/{name}", family)
        model = build(library, name)
        for module in model.modules():
            if view(module) is not None:
                row.norms[type(module).__name__] += 1
        size = size_of(model, library, name)
        x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
        stage = "evaluation"
        try:
            compare(row, model.eval(), x)
            stage = f"training with {norm}"
            converted = train(row, model, size, norm)
            if onnx and converted is not None:
                stage = "onnx"
                row.onnx = to_onnx(converted, size)
        except Exception as error:
            line = " ".join(str(error).split())[:200]
            row.refused.append(f"{stage}: {type(error).__name__}: {line}")
    row.seconds = time.perf_counter() - start
    return row


def _of(library: str, name: str) -> nn.Module:
    if library == "timm":
        import timm

        return timm.create_model(name, num_classes=CLASSES)  # type: ignore[no-any-return]
    from torchvision import models as torchvision_models

    return torchvision_models.get_model(name, weights=None, num_classes=CLASSES)  # type: ignore[no-any-return]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", type=int, default=None, metavar="N", help="models, at least")
    parser.add_argument("--norm", default="gn:groups=8~", help="what everything is converted to")
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--onnx", action="store_true")
    given = parser.parse_args()
    make_torchvision_importable()
    rows = []
    print(
        "family | model | norms | converted | left | torch-bn | bn | step | folded | fold "
        "| onnx | s"
    )
    print("|".join(["---"] * 12))
    for library, name in models(given.all):
        if given.only not in f"{library}/{name}":
            continue
        row = examine(library, name, given.norm, onnx=given.onnx)
        if row is None:
            continue
        rows.append(row)
        bn = "–" if row.bn is None else f"{row.bn:.0e}"
        fold = "–" if row.fold_difference is None else f"{row.fold_difference:.0e}"
        print(
            f"{row.family} | {row.name} | {sum(row.norms.values())} | {row.converted} | "
            f"{len(row.missed)} | {row.torch_bn} | {bn} | {row.step} | {row.folded} | {fold} | "
            f"{row.onnx} | {row.seconds:.1f}",
            flush=True,
        )
    for row in rows:
        for name, reason in row.missed:
            print(f"left in {row.name}: {name}: {reason}")
        for refusal in row.refused:
            print(f"refused: {row.name}: {refusal}")
    kinds = sum((row.norms for row in rows), Counter())
    print(f"{len(rows)} models, {len({row.family for row in rows})} families; {dict(kinds)}")


if __name__ == "__main__":
    main()
