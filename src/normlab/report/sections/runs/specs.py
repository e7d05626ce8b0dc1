"""The specs of all runs, small enough for the page: what they share once, the rest a run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from normlab.records.network import OWN_TRAINING
from normlab.records.run import RunSpec


@dataclass(frozen=True)
class Specs:
    """Flat keys ("optimizer.learning_rate") and printed values."""

    shared: Mapping[str, str]
    """Keys and values that all runs share."""
    own: Mapping[str, Mapping[str, str]]
    """By the id of each run that is shown: its values of the keys in which any two runs differ."""


def flat_specs(specs: Sequence[RunSpec], shown: Collection[str] | None = None) -> Specs:
    """What the runs share, and what each of those has of its own whose ids are `shown` (all)."""
    unlike = {spec.around_block: spec for spec in specs}
    """One of those that differ in the block alone."""
    flat = {key: _flat(_used(spec)) for key, spec in unlike.items()}
    keys = dict.fromkeys(key for one in flat.values() for key in one)
    values = {key: {one.get(key) for one in flat.values()} for key in keys}
    if "block" in values:
        values["block"] = {str(spec.block) for spec in specs}
    shared = {k: str(next(iter(found))) for k, found in values.items() if len(found) == 1}
    differing = {
        key: {k: v for k, v in one.items() if k not in shared} for key, one in flat.items()
    }
    own = {}
    for spec in specs:
        if shown is None or spec.id in shown:
            mine = differing[spec.around_block]
            own[spec.id] = {k: str(spec.block) if k == "block" else v for k, v in mine.items()}
    return Specs(shared, own)


def _used(spec: RunSpec) -> dict[str, Any]:
    """A training of somebody's own is told of the network, the norm and the block alone."""
    content = spec.model_dump(mode="json")
    if spec.network.name == OWN_TRAINING:
        content["network"]["options"].pop("metric")
        return {key: content[key] for key in ("arm", "block", "seed", "network", "norm")}
    return content


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found[prefix + key] = text
    return found
