"""Which family of statements a decision belongs to, where a study has several settings.

Six settings that are each tested at α give a false "better" somewhere in up to 26 % of studies.
Therefore each of S settings is decided at α/S, and before a setting is spoken of by itself the
interaction of the arms with the factors that make the settings is tested (Holm over the factors):
where it is not significant, what differs from setting to setting is not told apart from chance, and
the sentence of the setting says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normlab.stats.inference.comparison import holm
from normlab.stats.inference.interaction import Interaction


@dataclass(frozen=True)
class Family:
    """How the settings of a study share α."""

    settings: int
    """S; each is decided at α/S."""
    open: bool
    """Whether sentences may speak of one setting as different from the others."""
    factors: tuple[str, ...]
    """Those whose interaction with the arms is significant."""
    smallest_p: float | None
    """Holm-corrected, of the interactions; None where there is none to test."""


def family_of(settings: int, found: Sequence[Interaction], alpha: float) -> Family:
    """The family of a study's settings."""
    adjusted, _ = holm([each.p_value for each in found], alpha)
    values = [1.0 if p is None else p for p in adjusted]
    factors = tuple(each.factor for each, p in zip(found, values, strict=True) if p < alpha)
    smallest = min(values, default=None)
    return Family(settings, settings == 1 or bool(factors), factors, smallest)


def family_clause(family: Family) -> str:
    """What the sentence of one of several settings says of its family; empty for one setting."""
    if family.settings == 1:
        return ""
    share = f"one of {family.settings} settings, which share the error rate"
    if family.open:
        factors = " and ".join(family.factors)
        return f"{share}; the differences depend on the {factors}"
    if family.smallest_p is None:
        return share
    return (
        f"{share}; that the differences depend on the setting is not shown "
        f"(interaction p = {family.smallest_p:.2g})"
    )
