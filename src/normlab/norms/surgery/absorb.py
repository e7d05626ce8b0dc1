"""Running statistics of a batch norm in the scale and shift of what takes its place.

A trained batch norm computes γ(x − μ_c)/√(v_c + ε) + β with its running statistics. A group of
channels whose μ_c and v_c are those has, by the law of total variance, the mean and variance

    m = mean μ_c        s² = mean (v_c + (μ_c − m)²)

and group normalization of it, γ'(x − m)/√(s² + ε') + β', is the same function of x with

    γ' = γ·√(s² + ε')/√(v_c + ε)        β' = β + γ·(m − μ_c)/√(v_c + ε).

With γ and β as they were it is quite another one: channels that differ from each other by more than
pictures do leave nothing of the pictures, layer by layer. Layer normalization is one group.
Instance normalization has no such m and s² (running statistics do not say what varies within a
plane), and root mean square normalization no β.
"""

from __future__ import annotations

from torch import nn

from normlab.norms.surgery.recognize import NormView, view


def absorb_statistics(seen: NormView, new: nn.Module) -> bool:
    """Give `new` the γ' and β' that keep the function of `seen`; see the module.

    Args:
        seen: the batch norm whose place it takes.
        new: the norm, with γ and β as they were carried over.

    Returns:
        Whether it could be done: `new` is over groups of channels and has both parameters, and
        `seen` has running statistics.
    """
    groups = _groups_of(new)
    weight, bias = getattr(new, "weight", None), getattr(new, "bias", None)
    mean, variance = seen.running_mean, seen.running_var
    if groups is None or weight is None or bias is None or mean is None or variance is None:
        return False
    mean, variance = (t.detach().double().reshape(groups, -1) for t in (mean, variance))
    m = mean.mean(1, keepdim=True)
    spread = (variance + (mean - m).square()).mean(1, keepdim=True)
    scale = weight.detach().double().reshape(groups, -1) / (variance + seen.eps).sqrt()
    shift = bias.detach().double().reshape(groups, -1) + scale * (m - mean)
    for name, old, value in (
        ("weight", weight, scale * (spread + float(new.eps)).sqrt()),  # type: ignore[arg-type]
        ("bias", bias, shift),
    ):
        own = nn.Parameter(value.reshape(-1).to(old.dtype), requires_grad=old.requires_grad)
        setattr(new, name, own)
    return True


def _groups_of(new: nn.Module) -> int | None:
    seen = view(new)
    if seen is None:
        return None
    if seen.kind in ("layer", "pixel"):
        return 1
    number, _, rest = seen.kind.partition(" ")
    return int(number) if rest == "groups" else None
