"""The network of a run, and the check that it can be trained at all."""

from __future__ import annotations

import torch
from torch import nn

from normlab.errors import UnknownNameError, UsageError
from normlab.networks.resnet.resnet import ResNet, resnet_by_name
from normlab.randomness import torch_stream
from normlab.records.run import RunSpec


def build_network(spec: RunSpec, device: torch.device | str = "cpu") -> ResNet:
    """The spec's network with the block's initial weights, channels_last, on the device.

    Weights come from the block's "init" stream alone: equal to the bit in all arms. torch's
    constructors draw from the global generator before that; it is put back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        network = resnet_by_name(
            spec.network.name,
            len(spec.data.classes),
            spec.norm,
            shortcut=spec.network.shortcut,
            zero_init_last_scale=spec.network.zero_init_last_scale,
            generator=torch_stream(spec.seed, spec.block, "init"),
        )
    network.to(device=device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def keeps_running(network: nn.Module) -> bool:
    """Whether statistics of the batch and those of evaluation differ at all."""
    return any(name.endswith("running_mean") for name, _ in network.named_buffers())


def check_trainable(spec: RunSpec) -> None:
    """Send one batch of the spec's shape through its network, on no memory at all.

    Raises:
        UsageError: an unknown name, groups that do not divide, one value per statistic, …
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            network = resnet_by_name(
                spec.network.name,
                len(spec.data.classes),
                spec.norm,
                shortcut=spec.network.shortcut,
                zero_init_last_scale=spec.network.zero_init_last_scale,
            )
            size = spec.data.image_size
            network(torch.empty(spec.batch_size, 3, size, size))
        except UnknownNameError:
            raise
        except UsageError as error:
            raise UsageError(
                f"{spec.norm} in {spec.network.name} at {size_text(spec)}: {error}"
            ) from None


def size_text(spec: RunSpec) -> str:
    """Batch and image size in words."""
    return f"batch {spec.batch_size} of {spec.data.image_size} px"
