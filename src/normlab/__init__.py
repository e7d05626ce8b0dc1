"""normlab: which normalization should your network use, how sure is that, and why.

    normlab.resnet(n=2, num_classes=25, norm="gn:groups=8")   a residual network of 6n+2 layers
    normlab.register_network("plain")                         a network of your own, by a decorator
    normlab.make_norm("bin", channels=64)                     a normalization layer by name
    normlab.BatchNorm2d, …                                    the layers themselves
    normlab.register(normlab.NormInfo(…))                     a norm of your own, by name
    normlab.convert_norms(model, "gn:groups=8")               the same in a network of any library
    normlab.synchronize(model)                                batch statistics over all ranks
    normlab.parameter_groups, normlab.clamp_gates             for a training loop of your own
    normlab.load("folder")                            a trained network, of a study or an export
    normlab.load_data, normlab.StudyPlan, normlab.Study       a controlled study on disk
    normlab.own_study(folder, train, make_network, …)         the same around a training of your own

Names are imported when they are first used, so that `import normlab` itself costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from normlab._version import __version__

_HOMES = {
    "BatchInstanceNorm2d": "normlab.norms.layers.batch_instance",
    "BatchNorm2d": "normlab.norms.layers.batch",
    "ChannelLayerNorm2d": "normlab.norms.layers.layer",
    "GroupNorm2d": "normlab.norms.layers.group",
    "InstanceNorm2d": "normlab.norms.layers.instance",
    "LayerNorm2d": "normlab.norms.layers.layer",
    "call_norm": "normlab.norms.call",
    "clamp_gates": "normlab.norms.training.parameters",
    "convert_norms": "normlab.norms.surgery.convert",
    "fold": "normlab.norms.surgery.fold",
    "freeze": "normlab.norms.surgery.freeze",
    "restore_norms": "normlab.norms.surgery.restore",
    "precise_statistics": "normlab.norms.training.precise_statistics",
    "synchronize": "normlab.norms.training.synchronize",
    "unfreeze": "normlab.norms.surgery.freeze",
    "parameter_groups": "normlab.norms.training.parameters",
    "make_norm": "normlab.norms.spec",
    "register_network": "normlab.networks.registry",
    "NormInfo": "normlab.norms.registry",
    "register": "normlab.norms.registry",
    "resnet": "normlab.networks.resnet.resnet",
    "own_study": "normlab.study.own.study",
    "Study": "normlab.study.study",
    "StudyPlan": "normlab.records.plan",
    "load": "normlab.study.answers.load",
    "load_data": "normlab.data.dataset",
    "NormlabError": "normlab.errors",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:
    from normlab.data.dataset import load_data as load_data
    from normlab.errors import NormlabError as NormlabError
    from normlab.networks.registry import register_network as register_network
    from normlab.networks.resnet.resnet import resnet as resnet
    from normlab.norms.call import call_norm as call_norm
    from normlab.norms.layers.batch import BatchNorm2d as BatchNorm2d
    from normlab.norms.layers.batch_instance import BatchInstanceNorm2d as BatchInstanceNorm2d
    from normlab.norms.layers.group import GroupNorm2d as GroupNorm2d
    from normlab.norms.layers.instance import InstanceNorm2d as InstanceNorm2d
    from normlab.norms.layers.layer import ChannelLayerNorm2d as ChannelLayerNorm2d
    from normlab.norms.layers.layer import LayerNorm2d as LayerNorm2d
    from normlab.norms.registry import NormInfo as NormInfo
    from normlab.norms.registry import register as register
    from normlab.norms.spec import make_norm as make_norm
    from normlab.norms.surgery.convert import convert_norms as convert_norms
    from normlab.norms.surgery.fold import fold as fold
    from normlab.norms.surgery.freeze import freeze as freeze
    from normlab.norms.surgery.freeze import unfreeze as unfreeze
    from normlab.norms.surgery.restore import restore_norms as restore_norms
    from normlab.norms.training.parameters import clamp_gates as clamp_gates
    from normlab.norms.training.parameters import parameter_groups as parameter_groups
    from normlab.norms.training.precise_statistics import precise_statistics as precise_statistics
    from normlab.norms.training.synchronize import synchronize as synchronize
    from normlab.records.plan import StudyPlan as StudyPlan
    from normlab.study.answers.load import load as load
    from normlab.study.own.study import own_study as own_study
    from normlab.study.study import Study as Study


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'normlab' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
