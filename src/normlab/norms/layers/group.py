"""Group normalization, over H, W and the channels of a group, for every sample."""

from __future__ import annotations

from functools import partial

import torch

from normlab.errors import UsageError
from normlab.norms.base import ChannelNormalization, Images
from normlab.norms.functional import rules
from normlab.norms.functional.activation import Activation
from normlab.norms.layers.apply import normalize_by_sample


def check_groups(num_groups: int, num_channels: int) -> None:
    """Refuse groups that do not divide the channels.

    Raises:
        UsageError: names the numbers of groups that do, and how to have any.
    """
    if num_groups < 1 or num_channels % num_groups:
        divisors = ", ".join(map(str, _divisors(num_channels)))
        raise UsageError(
            f"{num_groups} groups do not divide {num_channels} channels; "
            f"choose one of {divisors}, or let it fit any number: groups={max(num_groups, 1)}~ "
            "takes the nearest of them, channels=16 so many channels a group"
        )


def groups_for(num_channels: int, groups: int | str = 8, channels: int | str = 0) -> int:
    """The number of groups that an option names for so many channels.

    Args:
        num_channels: C.
        groups: G; with "~" behind it, the divisor of C that is nearest to G, the smaller of two.
        channels: C/G instead of G, likewise; 0 to go by `groups`.

    Returns:
        G, for `GroupNorm2d` to check.

    Raises:
        UsageError: `channels` does not divide C.

    >>> groups_for(12, "8~"), groups_for(64, channels=16), groups_for(24, channels="16~")
    (6, 4, 2)
    """
    if not channels:
        return _nearest(groups, num_channels)
    of_a_group = _nearest(channels, num_channels)
    if of_a_group < 1 or num_channels % of_a_group:
        divisors = ", ".join(map(str, _divisors(num_channels)))
        raise UsageError(
            f"groups of {channels} channels do not divide {num_channels} channels; choose one of "
            f"{divisors}, or let it fit any number: channels={channels}~ takes the nearest of "
            "them, groups=8~ so many groups"
        )
    return num_channels // of_a_group


def _nearest(number: int | str, total: int) -> int:
    if isinstance(number, int):
        return number
    wanted = int(number.removesuffix("~"))
    return min(_divisors(total), key=lambda divisor: (abs(divisor - wanted), divisor))


def _divisors(total: int) -> list[int]:
    return [d for d in range(1, total + 1) if total % d == 0]


class GroupNorm2d(ChannelNormalization):
    """Group normalization over H, W and the C/G channels of a group (Wu & He 2018, equation 7).

    y = γ·(x − μ_ng)/√(v_ng + ε) + β. One group is LayerNorm2d, C groups are InstanceNorm2d.

    Args:
        num_groups: G, a divisor of C.
        num_channels: C.
        eps: ε.
        affine: whether there are γ = 1 and β = 0.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β (C,).

    Raises:
        UsageError: G does not divide C; in training, one value per group.

    >>> norm = GroupNorm2d(2, 8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_channels, eps, affine, device, dtype)
        check_groups(num_groups, num_channels)
        self.num_groups = num_groups

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        values = x.shape[1] // self.num_groups * x.shape[2] * x.shape[3]
        self.check_count(values, "use fewer groups or a larger image")
        rule = partial(rules.group, num_groups=self.num_groups, eps=self.eps)
        return normalize_by_sample(self, x, self.num_groups, rule, residual, activation)

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
