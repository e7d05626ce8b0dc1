"""Values that never change: the base of all records, and many of them in little memory."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value: compared by content, never changed, no field that it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="strings", allow_inf_nan=True
    )


_Model = TypeVar("_Model", bound=Frozen)
_FIELD_SETS: dict[frozenset[str], set[str]] = {}


def share_field_set(model: _Model, given: Set[str] | None = None) -> _Model:
    """The model itself; the set of the fields that were given is shared by all that have it alike.

    A set for every one of 300,000 values is 65 MB in a study of 1,000 runs × 100 epochs.
    """
    given = model.__pydantic_fields_set__ if given is None else given
    shared = _FIELD_SETS.get(key := frozenset(given))
    if shared is None:
        shared = _FIELD_SETS[key] = set(given)
    object.__setattr__(model, "__pydantic_fields_set__", shared)
    return model


def of_checked(model: type[_Model], values: dict[str, Any], given: Set[str]) -> _Model:
    """A model of values that were checked before, in a tenth of the time of checking them."""
    made = model.__new__(model)
    object.__setattr__(made, "__dict__", values)
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return share_field_set(made, given)
