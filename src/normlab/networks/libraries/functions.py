"""Networks that a function of one's own makes: `package.module:function`.

Its module must have been imported: by a plugin of the study (`--model` adds it), about which the
user is asked where the study is a stranger's, or by the program that calls normlab.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from torch import nn

from normlab.errors import UnknownNameError, UsageError
from normlab.networks.libraries.base import InputConfiguration, Source, built


def _find(name: str) -> tuple[Any, str]:
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    if found is None:
        raise UsageError(
            f"the network {name} wants the module {module}, which is not imported; name it among "
            f'the plugins of the study: plugins = ["{module}"], or --plugin {module}'
        )
    version = str(getattr(found, "__version__", ""))
    for part in path.split("."):
        known = [each for each in dir(found) if not each.startswith("_")]
        if not hasattr(found, part):
            raise UnknownNameError(f"function of {module}", part, known)
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{name} is no function that makes a network, but {found!r}")
    return found, f"{module} {version}".strip()


def _build(name: str, num_classes: int, pretrained: bool) -> nn.Module:
    if pretrained:
        raise UsageError(f"{name} has no pretrained weights that are known; give --weights FILE")
    function, _ = _find(name)
    given = {"num_classes": num_classes}
    try:
        inspect.signature(function).bind(**given)
    except TypeError as error:
        raise UsageError(
            f"{name} cannot be called with num_classes alone ({error}); give its other arguments "
            "defaults, or wrap it in a function of num_classes"
        ) from None
    except ValueError:  # written in C
        pass
    return built("", name, lambda: function(**given))


FUNCTIONS = Source(
    "",
    "what a function of yours returns: package.module:function",
    _build,
    lambda name: InputConfiguration(),
    lambda: "",
    lambda: (),
)
