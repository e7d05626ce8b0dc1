"""NormContract for the norms beyond the main ones."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import nn

from normlab.norms.spec import make_norm
from normlab.testing import TOLERANCES, NormContract

pytestmark = pytest.mark.usefixtures("one_thread")


class TestGhost(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("bn:virtual_batch=2", channels)


class TestFrozen(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("bn:frozen=true", channels)


class TestRenorm(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("brn:warmup=2", channels)

    test_gradcheck = None  # r and d are constants of the backward, so it is no derivative


class TestSwitchable(NormContract):
    # Gradients of the six shares are differences of sums over the whole batch.
    tolerances: ClassVar = {**TOLERANCES, torch.bfloat16: 2**-2, torch.float16: 2**-6}

    def make(self, channels: int) -> nn.Module:
        return make_norm("sn", channels)


class TestHalfInstance(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("ibn", channels)


class TestRMS(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("rms", channels)


class TestRMSPixel(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("rms:axes=c", channels)


class TestFilterResponse(NormContract):
    fuses_residual_and_activation = False  # its threshold takes the activation's place

    def make(self, channels: int) -> nn.Module:
        return make_norm("frn", channels)


class TestEvoNorm(NormContract):
    fuses_residual_and_activation = False

    def make(self, channels: int) -> nn.Module:
        return make_norm("evonorm-s0:groups=2", channels)


class TestGlobalResponse(NormContract):
    def make(self, channels: int) -> nn.Module:
        return make_norm("grn", channels)


class TestDynamicTanh(NormContract):
    # α·x is rounded to half precision by nobody, but α itself is.
    tolerances: ClassVar = {**TOLERANCES, torch.bfloat16: 2**-5}

    def make(self, channels: int) -> nn.Module:
        return make_norm("dyt", channels)
