"""Small models of timm and torchvision of all families, through `benchmarks/conversion.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from real_libraries import make_torchvision_importable

MODELS = {
    "timm": "test_byobnet convit_tiny test_convnext cpubone_nano crossvit_tiny_240 csatv2 "
    "cs3darknet_s cspnext_tiny deit_tiny_patch16_224 dpn68 edgenext_small "
    "test_efficientnet efficientvim_m1 efficientvit_b0 eva02_tiny_patch14_224 "
    "fasternet_t0 ghostnet_050 hardcorenas_a hgnetv2_b0 inception_next_atto lcnetv2_small "
    "lowformer_b0 test_mambaout test_maxvit lcnet_050 mobilevit_xxs pvt_v2_b0 resnest14d "
    "test_resnet resnetv2_18 legacy_seresnet18 starnet_s050 test_vit "
    "vit_tiny_r_s16_p8_224 test_vit_relpos ese_vovnet19b_slim sam2_hiera_tiny",
    "torchvision": "mnasnet0_5 mobilenet_v2 mobilenet_v3_small shufflenet_v2_x0_5",
}
CASES = [(library, name) for library, names in MODELS.items() for name in names.split()]
BESIDE = {"csatv2": 14}
"""GlobalResponseNorms, which stand beside the norms and stay."""


@pytest.fixture(scope="module")
def conversion() -> Any:
    make_torchvision_importable()
    path = Path(__file__).parents[3] / "benchmarks" / "conversion.py"
    spec = importlib.util.spec_from_file_location("conversion_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["conversion_benchmark"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(("library", "name"), CASES, ids=lambda value: value)
def test_it_is_converted_as_a_whole_and_computes_the_same(
    library: str, name: str, conversion: Any
) -> None:
    make_torchvision_importable()
    pytest.importorskip(library, reason=f"{library} is not installed")
    row = conversion.examine(library, name)
    assert row is not None
    assert row.refused == []
    assert row.missed == ()
    assert row.converted == sum(row.norms.values()) - BESIDE.get(name, 0) > 0
    assert row.step == "right"
    assert row.torch_bn in ("–", "equal")
    assert row.bn is None or row.bn <= 3e-5
    assert row.fold_difference is None or row.fold_difference <= 1e-4


ONNX = [
    "timm/test_resnet",
    "timm/test_vit",
    "timm/test_convnext",
    "timm/test_efficientnet",
    "torchvision/mobilenet_v3_small",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ONNX)
def test_its_export_computes_the_same(name: str, conversion: Any) -> None:
    make_torchvision_importable()
    library, _, own = name.partition("/")
    pytest.importorskip(library, reason=f"{library} is not installed")
    pytest.importorskip("onnxscript", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    row = conversion.examine(library, own, onnx=True)
    assert row is not None
    assert row.refused == []
    assert float(row.onnx) <= 1e-4
