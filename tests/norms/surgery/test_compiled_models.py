"""What conversion cannot see: models of torch.jit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import normlab
from normlab.errors import UsageError


def images(channels: int) -> torch.Tensor:
    return torch.randn(4, channels, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("how", ["script", "trace"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_that_torch_jit_compiled(how: str) -> None:
    """Nothing was converted and nothing was named."""
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval()
    compiled = torch.jit.script(plain) if how == "script" else torch.jit.trace(plain, images(3))
    with pytest.raises(UsageError, match=r"compiled by torch.jit .*; convert the model that it w"):
        normlab.convert_norms(compiled, "gn:groups=4")
    outer = nn.Sequential(compiled, nn.BatchNorm2d(8))
    conversion = normlab.convert_norms(outer, "gn:groups=4")
    assert [layer.names for layer in conversion.layers] == [("1",)]
    (left,) = conversion.left
    assert left == (
        "0.1",
        "BatchNorm2d is compiled by torch.jit; convert the model before it is compiled",
    )
