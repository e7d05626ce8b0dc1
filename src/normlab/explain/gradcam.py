"""Grad-CAM: where in the image the evidence for a class lies.

    w[n,k] = mean over the pixels of ∂(logit of class c_n)/∂A[n,k]       a weight a channel
    L[n]   = max(0, Σ_k w[n,k]·A[n,k])                                   one map a layer

A (N, K, H', W') is a layer's output; of tokens (N, L, K) those that stand for places, in their
grid. Source: Selvaraju et al. 2017, equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from normlab.errors import UsageError
from normlab.networks.feature_maps import feature_map
from normlab.records.run import known

MODES = ("raw", "per-layer")
_TINY = 1e-7
"""Added to a maximum before dividing by it, as pytorch-grad-cam does."""


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """Maps of the images' size, and what the network said of the images."""

    maps: Float[Tensor, "n h w"]
    """At least 0. In the mode "raw" of the gradient's units, comparable between images."""
    logits: Float[Tensor, "n classes"]


def grad_cam(
    network: nn.Module,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"] | None,
    layers: Sequence[str],
    mode: str = "raw",
) -> ClassMaps:
    """The layers' maps, enlarged to the images' size and averaged.

    Args:
        network: used in evaluation mode; its mode, parameters, gradients and buffers are left as
            they were.
        images: standardised, shape (N, C, H, W).
        targets: the class c_n of each image, shape (N,); None for the predicted one.
        layers: names of modules, see `choose_layers`.
        mode: "raw" averages the maps as they are, so that a layer counts by the strength of its
            evidence; "per-layer" first brings each layer's map of each image to [0, 1], and the
            mean again, as pytorch-grad-cam does.

    Raises:
        UnknownNameError: no such mode.
        UsageError: no such layer, a target that is no class, or a layer that does not reach the
            logits.
    """
    known("mode of the maps", mode, MODES)
    with evaluating(network), capture(network, layers) as outputs, torch.enable_grad():
        # A leaf that needs a gradient gives a graph also to a network whose weights are frozen.
        logits: Tensor = network(images.detach().clone().requires_grad_())
        captured = [outputs[name] for name in layers if name in outputs]
        modules = dict(network.named_modules())
        if targets is None:
            targets = logits.argmax(1)
        if targets.numel() and not 0 <= int(targets.min()) <= int(targets.max()) < logits.shape[1]:
            raise UsageError(
                f"a target is a class from 0 to {logits.shape[1] - 1}, got {targets.tolist()}"
            )
        # In evaluation mode no image reads another one, so one sum gives each its own gradient.
        score = logits.gather(1, targets[:, None]).sum()
        used = len(captured) == len(layers)
        gradients = torch.autograd.grad(score, captured, allow_unused=True) if used else ()
    if not used or any(gradient is None for gradient in gradients):
        raise UsageError("a layer was chosen that the logits do not depend on; choose another")
    height, width = images.shape[2:]
    total = torch.zeros(len(images), height, width, device=images.device)
    for name, output, gradient in zip(layers, captured, gradients, strict=True):
        found, slope = (
            feature_map(modules[name], one, height, width) for one in (output.detach(), gradient)
        )
        if found is None or slope is None:
            raise UsageError(
                f"the output of the layer {name}, of shape {tuple(output.shape)}, has no places in "
                "the image; choose a layer before the pooling"
            )
        small = layer_map(found.float(), slope.float())
        if mode == "per-layer":
            small = _stretched(small)
        total += functional.interpolate(small[:, None], (height, width), mode="bilinear")[:, 0]
    mean = total / len(layers)
    return ClassMaps(_stretched(mean) if mode == "per-layer" else mean, logits.detach().float())


def layer_map(
    output: Float[Tensor, "n k h w"], gradient: Float[Tensor, "n k h w"]
) -> Float[Tensor, "n h w"]:
    """max(0, Σ_k w_k·A_k) with w the gradient's mean over the pixels."""
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * output).sum(1).clamp(min=0)


def _stretched(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Each map brought to [0, 1] by its own minimum and maximum."""
    low = maps.amin((1, 2), keepdim=True)
    moved = maps - low
    return moved / (moved.amax((1, 2), keepdim=True) + _TINY)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; afterwards every module has the mode that it had."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def capture(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """The outputs of the named modules in the forward passes made meanwhile.

    Raises:
        UsageError: the network has no module of that name.
    """
    modules = dict(network.named_modules())
    outputs: dict[str, Tensor] = {}
    hooks = []

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            outputs[name] = output
            # What comes next gets a view: an operation in place there must not change what was
            # kept, and autograd refuses it instead of giving a wrong gradient.
            return output.view_as(output)

        return hook

    try:
        for name in layers:
            if name not in modules:
                raise UsageError(f"the network has no layer {name!r}; see network.named_modules()")
            hooks.append(modules[name].register_forward_hook(keep(name)))
        yield outputs
    finally:
        for handle in hooks:
            handle.remove()
