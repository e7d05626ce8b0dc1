"""The residual block of two 3×3 convolutions and its shortcuts (He et al. 2015, section 3)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from normlab.norms.call import call_norm
from normlab.norms.spec import NormSpec

Images = Float[Tensor, "n c h w"]


def convolution(
    norm: NormSpec, in_channels: int, out_channels: int, size: int = 3, stride: int = 1
) -> nn.Conv2d:
    """A convolution without bias, zero-padded so that stride 1 keeps the image's size."""
    make = norm.convolution
    return make(in_channels, out_channels, size, stride, padding=size // 2, bias=False)


class BasicBlock(nn.Module):
    """relu(norm2(conv2(relu(norm1(conv1(x))))) + shortcut(x)).

    A norm stands right after every convolution; the second one adds the shortcut and applies the
    activation in the sweep that writes its output.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, norm: NormSpec, shortcut: str
    ) -> None:
        """`shortcut` is "A" (identity, padded with zero channels) or "B" (1×1 projection)."""
        super().__init__()
        self.conv1 = convolution(norm, in_channels, out_channels, stride=stride)
        self.norm1 = norm.make(out_channels)
        self.conv2 = convolution(norm, out_channels, out_channels)
        self.norm2 = norm.make(out_channels, last=True)
        self.shortcut: nn.Module
        if stride == 1 and in_channels == out_channels:
            self.shortcut = nn.Identity()
        elif shortcut == "A":
            self.shortcut = PaddedShortcut(out_channels - in_channels, stride)
        else:
            self.shortcut = ProjectedShortcut(in_channels, out_channels, stride, norm)

    def forward(self, x: Images) -> Images:
        """Shape (N, out_channels, H/stride, W/stride)."""
        y = call_norm(self.norm1, self.conv1(x), activation="relu")
        return call_norm(self.norm2, self.conv2(y), residual=self.shortcut(x), activation="relu")


class PaddedShortcut(nn.Module):
    """Option A: every stride-th pixel, and zeros for the channels that x does not have."""

    def __init__(self, extra_channels: int, stride: int) -> None:
        """Add so many channels behind those of x."""
        super().__init__()
        self.extra_channels = extra_channels
        self.stride = stride

    def forward(self, x: Images) -> Images:
        """Shape (N, C + extra, H/stride, W/stride)."""
        kept = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(kept, (0, 0, 0, 0, 0, self.extra_channels))


class ProjectedShortcut(nn.Module):
    """Option B: a 1×1 convolution with its norm."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: NormSpec) -> None:
        """Project in_channels to out_channels."""
        super().__init__()
        self.conv = convolution(norm, in_channels, out_channels, size=1, stride=stride)
        self.norm = norm.make(out_channels)

    def forward(self, x: Images) -> Images:
        """Shape (N, out_channels, H/stride, W/stride)."""
        y: Tensor = self.norm(self.conv(x))
        return y
