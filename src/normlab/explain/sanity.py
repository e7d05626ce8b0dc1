"""The sanity check of randomised weights: a map that stays the same tells nothing of the network.

From the head downward, part after part is put back to initial weights of another draw, and
the maps are compared with those of the trained network by Spearman's rank correlation. Source:
Adebayo et al. 2018, section 3.1 (cascading randomization).
"""

from __future__ import annotations

import copy

import numpy as np
from jaxtyping import Float
from scipy import stats

from normlab.explain.gallery import ArmMaps, Gallery
from normlab.explain.maps import image_maps
from normlab.serving.predictor import Predictor
from normlab.train.network import build_network

_OTHER_DRAW = 1_000_003
"""A block that no study has, for weights that the run never saw."""


def randomized_correlations(
    predictor: Predictor, gallery: Gallery, arm: ArmMaps
) -> dict[str, float | None]:
    """Part → mean rank correlation once it and all parts above it are random; None if undefined."""
    spec = predictor.spec
    fresh_spec = spec.model_copy(update={"block": spec.block + _OTHER_DRAW})
    fresh = build_network(fresh_spec, predictor.mean.device, load_weights=False)
    network = copy.deepcopy(predictor.network)
    changed = Predictor(spec, network, predictor.mean, predictor.std)
    options = gallery.options
    found: dict[str, float | None] = {}
    for part in reversed(predictor.view.parts):
        network.get_submodule(part).load_state_dict(fresh.get_submodule(part).state_dict())
        maps = image_maps(
            changed, gallery.pixels, gallery.targets, options.layers, options.mode
        ).maps
        found[part] = mean_rank_correlation(arm.maps, maps)
    return found


def mean_rank_correlation(
    before: Float[np.ndarray, "n s s"], after: Float[np.ndarray, "n s s"]
) -> float | None:
    """Mean of Spearman's ρ of the pixels over the images; a map of one value has none."""
    values = [
        float(stats.spearmanr(a.ravel(), b.ravel()).statistic)
        for a, b in zip(before, after, strict=True)
        if np.ptp(a) > 0 and np.ptp(b) > 0
    ]
    return float(np.mean(values)) if values else None
