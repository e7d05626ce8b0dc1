"""Weights of any version of the course's network as a network of ours, with its preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from normlab.errors import UsageError
from normlab.norms.spec import parse_norm
from normlab.records.run import DataSpec, NetworkSpec, RunSpec
from normlab.serving.course.network import CourseNetwork, load_course_network
from normlab.train.checkpoint import save_weights
from normlab.train.network import build_network

WEIGHTS = "weights.safetensors"
CHANNELS = 3
TRIED = 8
"""Images that both networks must classify alike."""
TOLERANCE = 1e-4
"""Of the largest logit: a bias that a running mean has taken over is rounded once more."""
HAS_RUNNING_MEAN = ("bn", "bin", "torch-bn")
CENTRES_PLANES = ("in",)


def import_weights(
    source: Path,
    normalization: str,
    out: Path,
    *,
    n: int | None = None,
    classes: Sequence[str] = (),
    image_size: int = 32,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> CourseNetwork:
    """Make a folder whose weights carry their own description, as those of a run do.

    A bias of a convolution, which our network has not, goes into the running mean of the norm
    behind it (m − b), or is dropped where the norm takes the mean of every plane away. The written
    network is held against the one that was read, on random images.

    Args:
        source: safetensors, or what torch.save wrote of a state dict; no code in it is run.
        normalization: bn, in, bin, ln, gn, nn or inbuilt, or any spec such as "gn:groups=4".
        out: the folder, which normlab.load takes.
        n: the blocks of a stage, to be held against the file.
        classes: their names in the order of the last layer; by default "0", "1", ….
        image_size: pixels of a side that it was trained at.
        mean: by channel, of values / 255, that were taken away in training; by default nothing.
        std: by channel, that was divided by.

    Returns:
        What was found in the file.

    Raises:
        UsageError: it holds another network, or one that ours cannot be: with a projection in the
            first stage, or biases before a group or layer normalization.
        UnknownNameError: there is no such normalization.
        StorageError: the folder cannot be written.
    """
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (0, CHANNELS):
            raise UsageError(f"{name} has a number for each of {CHANNELS} channels, got {values}")
    if not all(value > 0 for value in std):
        raise UsageError(f"std is divided by, so it is above 0, got {std}")
    found = load_course_network(source, normalization, n)
    r = found.layout.classes
    if classes and len(classes) != r:
        raise UsageError(f"{source} has {r} classes, and {len(classes)} names were given")
    spec = RunSpec(
        arm=str(parse_norm(found.norm)),
        block=0,
        data=DataSpec(
            fingerprint="",
            classes=tuple(classes) or tuple(map(str, range(r))),
            image_size=image_size,
        ),
        network=NetworkSpec(
            name=f"cifar-resnet{6 * found.layout.n + 2}",
            options={"shortcut": found.layout.option},
        ),
        norm=str(parse_norm(found.norm)),
    )
    own = build_network(spec, load_weights=False).eval()
    state = _without_biases(source, found, own)
    if state.keys() != own.state_dict().keys():
        more = sorted(state.keys() ^ own.state_dict().keys())
        raise UsageError(
            f"{source} has a layer that normlab's network has not ({more[0]}), as a projection in "
            "the first stage; normlab infer classifies with it as it is"
        )
    own.load_state_dict(state)
    _check(source, found.network, own, image_size)
    centre, spread = torch.tensor(mean or (0.0,) * CHANNELS), torch.tensor(std or (1.0,) * CHANNELS)
    save_weights(out / WEIGHTS, own, spec, centre, spread)
    return found


def _without_biases(source: Path, found: CourseNetwork, own: nn.Module) -> dict[str, Tensor]:
    """The state of the network that was read, in the form of ours."""
    state = dict(found.network.state_dict())
    kind = found.norm.partition(":")[0]
    for name in [name for name in state if name not in own.state_dict()]:
        module, _, what = name.rpartition(".")
        if what != "bias" or not isinstance(found.network.get_submodule(module), nn.Conv2d):
            continue
        bias, norm = state.pop(name), module.replace("conv", "norm")
        if kind in HAS_RUNNING_MEAN and f"{norm}.running_mean" in state:
            state[f"{norm}.running_mean"] = state[f"{norm}.running_mean"] - bias
        elif kind not in CENTRES_PLANES and bool(bias.any()):
            raise UsageError(
                f"{source} has biases of convolutions before {found.norm}, which normlab's network "
                "cannot have; normlab infer classifies with it as it is"
            )
    return state


@torch.inference_mode()
def _check(source: Path, read: nn.Module, own: nn.Module, size: int) -> None:
    images = torch.rand(TRIED, 3, size, size, generator=torch.Generator().manual_seed(0))
    expected = read(images)
    error = float((own(images) - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
    if not error <= TOLERANCE:
        raise UsageError(
            f"normlab's network differs from that of {source} by {error:.1g} of the largest logit; "
            "normlab infer classifies with it as it is"
        )
