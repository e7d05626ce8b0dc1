"""A plan is frozen: checked, written in canonical form, bound to its data.

Pure functions: no file and no network is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from normlab._version import __version__
from normlab.data.augment.policy import in_one_pass, operations
from normlab.errors import PlanError
from normlab.networks.registry import checked
from normlab.norms.spec import parse_norm
from normlab.records.cells import arm_of, cells, split_name, tuned
from normlab.records.network import ABSORB, hashed_network
from normlab.records.plan import MARGIN_SHARE, Frozenness, StudyPlan
from normlab.records.run import NetworkSpec


def freeze(
    plan: StudyPlan, fingerprint: str, classes: tuple[str, ...], groups: str = ""
) -> StudyPlan:
    """The plan with its hash and the identity of the data it is to run on.

    Norms are written in their canonical form, so that the arms of the runs are those of the plan.

    Raises:
        PlanError: the reference is not among the arms; a name stands for two norms; nothing is
            left to run; a look comes after the last block.
        UnknownNameError: a norm does not exist.
    """
    plan = _with_checked_networks(_with_canonical_norms(plan))
    arms = _arms(plan)
    if not plan.analysis.reference:
        reference = "bn" if "bn" in arms else arms[0]
        analysis = plan.analysis.model_copy(update={"reference": reference})
        plan = plan.model_copy(update={"analysis": analysis})
    if plan.analysis.looks and plan.blocks < plan.analysis.looks[-1]:
        raise PlanError(
            f"the last look is after {plan.analysis.looks[-1]} blocks, but {plan.blocks} are "
            f"planned; give --blocks {plan.analysis.looks[-1]}, or other --looks (in study.toml: "
            "blocks, analysis.looks)"
        )
    if plan.analysis.reference not in arms:
        raise PlanError(
            f"the reference arm {plan.analysis.reference!r} is not among the arms "
            f"{', '.join(arms)}; add it, or choose one of them with --reference (in study.toml: "
            "analysis.reference)"
        )
    frozen = Frozenness(
        hash=plan.hash,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        normlab=__version__,
        fingerprint=fingerprint,
        classes=classes,
        groups=groups,
        blocks=plan.blocks,
    )
    return plan.model_copy(update={"frozen": frozen})


def with_methods(plan: StudyPlan, begun: StudyPlan | None) -> StudyPlan:
    """The plan with the method of its augmentation, and the rules of its decisions, where it names
    none: the newest, or those that the study was begun with.
    """
    training = plan.training
    names = [training.augmentation]
    for factors in plan.factors:
        names += [str(level) for level in factors.training.get("augmentation", ())]
    if begun is not None:
        method = training.augmentation_method or begun.training.augmentation_method
    elif any(in_one_pass(operations(name)) for name in names):
        method = training.augmentation_method or 2
    else:  # it would change nothing
        method = training.augmentation_method
    training = training.model_copy(update={"augmentation_method": method})
    plan = _with_absorbed_statistics(plan.model_copy(update={"training": training}), begun)
    return with_rules(plan, begun)


def _with_absorbed_statistics(plan: StudyPlan, begun: StudyPlan | None) -> StudyPlan:
    """Converted norms of pretrained networks begin near what these had learned (surgery.absorb),
    unless the plan says otherwise, or the study was begun when they did not.
    """
    if begun is not None and not any(n.options.get(ABSORB) for n in begun.networks):
        return plan

    def absorbing(spec: NetworkSpec) -> NetworkSpec:
        given = spec.options.get("weights") or spec.options.get("pretrained")
        if not given or ABSORB in spec.options:
            return spec
        return spec.model_copy(update={"options": {**spec.options, ABSORB: True}})

    def absorbing_level(level: Any) -> Any:
        spec = NetworkSpec.model_validate(level)
        changed = absorbing(spec)
        return level if changed is spec else changed.model_dump(mode="json")

    return _with_networks(plan, absorbing, absorbing_level)


def _with_networks(
    plan: StudyPlan,
    change: Callable[[NetworkSpec], NetworkSpec],
    change_level: Callable[[Any], Any],
) -> StudyPlan:
    """The plan with its network changed, and those that are levels of a factor."""
    training = plan.training.model_copy(update={"network": change(plan.training.network)})
    factors = []
    for each in plan.factors:
        levels = dict(each.training)
        if "network" in levels:
            levels["network"] = tuple(map(change_level, levels["network"]))
        factors.append(each.model_copy(update={"training": levels}))
    return plan.model_copy(update={"training": training, "factors": tuple(factors)})


def with_rules(plan: StudyPlan, begun: StudyPlan | None) -> StudyPlan:
    """The plan with the rules of its decisions, where it names none.

    A study that starts now is judged by the second method, with a margin that follows the error
    unless the plan sets one; a study that was begun keeps the rules of its beginning.
    """
    analysis = plan.analysis
    if analysis.method is not None:
        return plan
    rules: dict[str, Any] = {"method": 2}
    if begun is not None:
        rules = {"method": begun.analysis.method}
        if analysis.margin_share is None:
            rules["margin_share"] = begun.analysis.margin_share
    elif "margin" not in analysis.model_fields_set and analysis.margin_share is None:
        rules["margin_share"] = MARGIN_SHARE
    return plan.model_copy(update={"analysis": analysis.model_copy(update=rules)})


def _arms(plan: StudyPlan) -> list[str]:
    """The names of all arms, each standing for one norm (or level) only."""
    found = cells(plan)
    if not found:
        raise PlanError("every cell of the plan is excluded; nothing is left to run")
    compared = plan.analysis.compare
    if compared in tuned(plan):
        raise PlanError(f"{compared} is tuned, so it cannot be what is compared")
    norms: dict[str, str] = {}
    for cell in found:
        arm = arm_of(cell, plan)
        if compared == "norm" and norms.setdefault(arm, cell.norm) != cell.norm:
            raise PlanError(f"the name {arm!r} stands for {norms[arm]} and for {cell.norm}")
    return list(dict.fromkeys(arm_of(cell, plan) for cell in found))


def _with_canonical_norms(plan: StudyPlan) -> StudyPlan:
    factors = tuple(
        each.model_copy(
            update={"norm": tuple(dict.fromkeys(_canonical(text) for text in each.norm))}
        )
        for each in plan.factors
    )
    exclude = tuple(
        rule.model_copy(update={"norm": tuple(_known_name(plan, text) for text in rule.norm)})
        for rule in plan.exclude
    )
    analysis = plan.analysis
    if analysis.compare == "norm" and analysis.reference:
        reference = _known_name(plan, analysis.reference)
        analysis = analysis.model_copy(update={"reference": reference})
    return plan.model_copy(update={"factors": factors, "exclude": exclude, "analysis": analysis})


def _with_checked_networks(plan: StudyPlan) -> StudyPlan:
    """Networks by the names of today, with all of their options: a default may change later."""
    return _with_networks(plan, checked, _checked_level)


def _checked_level(level: Any) -> dict[str, Any]:
    spec = checked(NetworkSpec.model_validate(level))
    whole = spec.model_dump(mode="json")
    if isinstance(level, dict) and hashed_network(whole) != whole:
        return {**level, "name": spec.name}  # levels of the first records had no defaults added
    return whole


def _canonical(text: str) -> str:
    norm, name = split_name(text)
    return f"{parse_norm(norm)} as {name}" if name else str(parse_norm(norm))


def _known_name(plan: StudyPlan, text: str) -> str:
    """The canonical norm, or one of the plan's other names as it is."""
    names = {split_name(level)[1] for factors in plan.factors for level in factors.norm}
    return text if text in names else str(parse_norm(text))
