"""The network of a run, and the check that it can be trained at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from normlab.errors import UnknownNameError, UsageError
from normlab.networks.registry import make_network
from normlab.networks.view import NetworkView, inspect_network, made_by_spec
from normlab.norms.base import RunningNormalization
from normlab.norms.spec import KEEP, parse_norm
from normlab.randomness import torch_stream
from normlab.records.network import is_of_library
from normlab.records.run import RunSpec


def build_network(
    spec: RunSpec, device: torch.device | str = "cpu", *, load_weights: bool = True
) -> nn.Module:
    """The spec's network with the block's initial weights, channels_last, on the device.

    Weights come from the block's "init" stream alone: equal to the bit in all arms. Pretrained ones
    are left out without `load_weights`, where those of a finished run take their place.
    """
    named = spec.network
    if not load_weights and is_of_library(named.name):
        random = {"pretrained": False, "weights": ""}
        named = named.model_copy(update={"options": {**named.options, **random}})
    network = make_network(
        named,
        len(spec.data.classes),
        spec.norm,
        torch_stream(spec.seed, spec.block, "init"),
    )
    network.to(device=device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def view_of(network: nn.Module, spec: RunSpec, batch_size: int | None = None) -> NetworkView:
    """What the network shows for images of the spec's size.

    By default for as many as a batch norm of the run takes its statistics from.
    """
    device = next(network.parameters()).device
    size = spec.data.image_size
    images = torch.zeros(batch_size or spec.statistics_batch, 3, size, size, device=device)
    return inspect_network(network, images.contiguous(memory_format=torch.channels_last))


def keeps_running(network: nn.Module) -> bool:
    """Whether statistics of the batch and those of evaluation differ at all."""
    return any(name.endswith("running_mean") for name, _ in network.named_buffers())


def check_trainable(spec: RunSpec) -> None:
    """Send one batch of the spec's shape through its network, on no memory at all.

    A network that needs real numbers for its forward pass is tried on the CPU.

    Raises:
        UsageError: an unknown name, groups that do not divide, one value per statistic, a factory
            that returns no module or ignores what it is given, …
    """
    try:
        try:
            _try_batch(spec, "meta")
        except (RuntimeError, NotImplementedError):
            _try_batch(spec, "cpu")
    except UnknownNameError:
        raise
    except UsageError as error:
        raise UsageError(
            f"{spec.norm} in {spec.network} at {size_text(spec)}: {error}{_layer_of(error)}"
        ) from None
    except Exception as error:  # somebody's network
        raise UsageError(
            f"{spec.norm} in {spec.network} at {size_text(spec)} cannot be made or called "
            f"({type(error).__name__}: {error}{_layer_of(error)}); repair its factory, or choose "
            "another network or image size"
        ) from error


def size_text(spec: RunSpec) -> str:
    """Batch and image size in words."""
    return f"batch {spec.batch_size} of {spec.data.image_size} px"


@contextmanager
def _noting_the_layer(network: nn.Module) -> Iterator[None]:
    """Note on an error the innermost layer that was being called."""
    open_calls: list[str] = []

    def leave(*_: object) -> None:
        open_calls.pop()

    handles = []
    for name, module in network.named_modules():
        handles += [
            module.register_forward_pre_hook(lambda *_, name=name: open_calls.append(name)),
            module.register_forward_hook(leave),
        ]
    try:
        yield
    except Exception as error:
        if open_calls and open_calls[-1]:
            error.add_note(open_calls[-1])
        raise
    finally:
        for handle in handles:
            handle.remove()


def _layer_of(error: Exception) -> str:
    """The layer that was noted, as the end of a sentence."""
    noted = getattr(error, "__notes__", [])
    return f" (in its layer {noted[-1]})" if noted else ""


def _try_batch(spec: RunSpec, device: str) -> None:
    size, classes = spec.data.image_size, len(spec.data.classes)
    with torch.random.fork_rng(devices=[]), torch.device(device):
        network = make_network(spec.network, classes, spec.norm)
        with torch.no_grad(), _noting_the_layer(network):
            logits = network(torch.empty(spec.statistics_batch, 3, size, size))
    if not any(True for _ in network.parameters()):
        raise UsageError("the network has no parameters, so that there is nothing to train")
    expected = (spec.statistics_batch, classes)
    if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UsageError(
            f"the network must give logits of shape {expected}, one for each of num_classes, and "
            f"it gives {found}; correct its factory"
        )
    if spec.norm_batch == "synchronized":
        _check_synchronizable(network)
    if parse_norm(spec.norm).info.code in ("none", KEEP.code):
        return
    if not any(made_by_spec(module) for module in network.modules()):
        raise UsageError(
            "the network has no normalization out of norm.make(channels), so that its arms would "
            "be equal; make its normalization layers with the norm that the factory is given"
        )


def _check_synchronizable(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, RunningNormalization):
            alone = not module.pools_over_ranks
        else:
            alone = isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm)
        if alone:
            raise UsageError(
                f"{type(module).__name__} cannot take its statistics over several ranks; leave it "
                "out, take bn, or choose --norm-batch local"
            )
