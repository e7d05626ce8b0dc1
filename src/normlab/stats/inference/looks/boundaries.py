"""Levels of looks after every block, so that all of them together are wrong with probability α.

    look k of K, after n_k blocks:   different where  p_k ≤ s(α)·w_k
    w_k = 2·(1 − Φ(C·(n_k/n_K)^(−1/4)))

p_k is the p-value of the look (t, its own degrees of freedom). The shape w is Wang and Tsiatis'
with Δ = ¼, between O'Brien and Fleming's (Δ = 0), which hardly ever ends early, and Pocock's (½); C
is such that all looks at w together are wrong with probability .05, and s(α) such that they are
with probability α, as tests of several pairs ask for α/2, α/3, … (s(.05) = 1).

Both come from simulation with paired t: 2,000,000 series of blocks for looks after every block from
the third to a cap of at most 20, kept in the table below; 200,000 with fixed draws for other looks
(of round caps they are in the table too), so that the same looks have the same levels everywhere.

Sources: Wang & Tsiatis 1987, "Approximately optimal one-parameter boundaries for group sequential
trials"; Armitage, McPherson & Rowe 1969 for what peeking costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import special

FIRST_LOOK = 3
DELTA = 0.25
MAX_TABLED = 20
_BASE = 0.05
_ALPHAS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)
_DRAWS = 200_000
_CACHED = 2**17
"""Draws of a part."""
# Cap → C, and s at the levels of _ALPHAS.
# fmt: off
_TABLE: dict[int, tuple[float, tuple[float, ...]]] = {
    4: (2.1038, (0.009162, 0.01756, 0.04385, 0.08992, 0.1843, 0.4796, 1, 2.09)),
    5: (2.1656, (0.008013, 0.01646, 0.04155, 0.08669, 0.1795, 0.4731, 1, 2.126)),
    6: (2.2016, (0.007469, 0.01596, 0.04048, 0.08422, 0.1757, 0.4725, 1, 2.155)),
    7: (2.2232, (0.007269, 0.01507, 0.04018, 0.08245, 0.1732, 0.4678, 1, 2.163)),
    8: (2.2387, (0.007212, 0.01494, 0.0398, 0.08133, 0.1713, 0.4652, 1, 2.179)),
    9: (2.2495, (0.007141, 0.01454, 0.03877, 0.08082, 0.1696, 0.4616, 1, 2.18)),
    10: (2.2587, (0.00697, 0.01464, 0.03877, 0.08068, 0.1678, 0.4625, 1, 2.193)),
    11: (2.2660, (0.006847, 0.01433, 0.03795, 0.07986, 0.1673, 0.4605, 1, 2.2)),
    12: (2.2715, (0.006858, 0.01442, 0.03756, 0.07911, 0.1674, 0.4591, 1, 2.209)),
    13: (2.2764, (0.006795, 0.0141, 0.03716, 0.07905, 0.1671, 0.4604, 1, 2.213)),
    14: (2.2801, (0.006746, 0.01396, 0.03687, 0.07934, 0.1666, 0.4575, 1, 2.212)),
    15: (2.2838, (0.006748, 0.01388, 0.03708, 0.07775, 0.1659, 0.4571, 1, 2.215)),
    16: (2.2873, (0.006723, 0.01385, 0.03667, 0.07751, 0.1647, 0.4574, 1, 2.217)),
    17: (2.2899, (0.006735, 0.01371, 0.03695, 0.07731, 0.1649, 0.4562, 1, 2.212)),
    18: (2.2929, (0.006607, 0.01361, 0.03686, 0.07756, 0.1654, 0.4559, 1, 2.222)),
    19: (2.2945, (0.006673, 0.01368, 0.03664, 0.07705, 0.1653, 0.4535, 1, 2.22)),
    20: (2.2963, (0.006665, 0.01371, 0.03635, 0.07679, 0.1649, 0.4538, 1, 2.223)),
    # Longer studies, by the simulation below (200,000 series), which takes seconds.
    25: (2.2799663504855077, (
        0.006262506965739929, 0.013092982080396904, 0.03684491382757386,
        0.07813162189211935, 0.16385029299464596, 0.45876098770512697,
        1.0000003052381807, 2.217155272100987)),
    30: (2.2761770409745528, (
        0.006884867376891448, 0.014738211313248997, 0.03792638342964078,
        0.07838667370653926, 0.17079645665634138, 0.45421420082117026,
        1.0000007056427105, 2.2284568645893095)),
    40: (2.268521408095879, (
        0.007555476671699516, 0.014969727214999286, 0.03684570264563376,
        0.07807387488254437, 0.16778113797328262, 0.4588936754117141,
        0.9999994348157063, 2.2205554605429545)),
    50: (2.261464698694338, (
        0.007910936769401881, 0.014530340092780588, 0.0350135925028369,
        0.07869137081332632, 0.1678836978047717, 0.459971141560553, 0.999999990792754,
        2.202785833127669)),
    60: (2.2596196374366397, (
        0.006486634027993802, 0.013636968770006655, 0.0361502157631796,
        0.07870081963859879, 0.16417926876058106, 0.4597468883090934,
        0.9999994983960139, 2.213450769650303)),
    80: (2.253725593412913, (
        0.007280025440539702, 0.01571738217832351, 0.039961160618323804,
        0.08061365544335036, 0.16468277221689193, 0.4508520655927415,
        0.9999999278044092, 2.195426618717335)),
    100: (2.252251583225384, (
        0.007624676811148477, 0.015687886973594325, 0.03941932274283374,
        0.07951144831442132, 0.16828114237918795, 0.46029902993684685,
        0.9999979711697784, 2.205475295092984)),
    150: (2.2468349886259698, (
        0.006777613042047183, 0.014170963658377797, 0.036636030765185124,
        0.0766536718121014, 0.16437270273177085, 0.45898900950019744,
        0.9999960459939372, 2.1862911755395675)),
    200: (2.2446967779905385, (
        0.007166220038603775, 0.01439078996920137, 0.036983068916199895,
        0.07983145823098738, 0.17014069784635552, 0.4663742461279929,
        1.0000002606779952, 2.2003272523908444)),
    300: (2.2431123915866205, (
        0.006519035564044133, 0.013987538118440775, 0.0363670954244406,
        0.07757231918734382, 0.16729835562407266, 0.45407203167026405,
        1.0000010160547965, 2.182824053841271)),
    400: (2.2422827335631155, (
        0.006570616525594118, 0.013555726629053773, 0.037995532726579136,
        0.08280404684609796, 0.17553998694213999, 0.46373771372958605,
        1.000004383940881, 2.2048156037071225)),
    500: (2.240828418711648, (
        0.006770322942955435, 0.013448658270503795, 0.03731063008849931,
        0.08130218416048508, 0.17611684779893805, 0.47563603429423384,
        1.0000002149974374, 2.200744861758702)),
    750: (2.2355838289922745, (
        0.006953867942660137, 0.013766336863446657, 0.03724467872068097,
        0.07769777104171705, 0.1677484556319327, 0.46553639441212824,
        1.0000000000380969, 2.1805615133725436)),
    1000: (2.2381895003970924, (
        0.0067034732164473, 0.013951598621652671, 0.03649859657739217,
        0.07910969464970825, 0.16935048124129812, 0.4499450801366614,
        0.9999985113000294, 2.165898895410578)),
}
# fmt: on


def every_block(cap: int) -> tuple[int, ...]:
    """Looks after every block from the third to the cap; beyond 20 blocks still 18 of them.

    >>> every_block(6), every_block(2)
    ((3, 4, 5, 6), (2,))
    """
    if cap <= FIRST_LOOK:
        return (max(cap, 2),)
    if cap <= MAX_TABLED:
        return tuple(range(FIRST_LOOK, cap + 1))
    spread = np.linspace(FIRST_LOOK, cap, MAX_TABLED - FIRST_LOOK + 1)
    return tuple(int(look) for look in np.round(spread))


@dataclass(frozen=True)
class Boundary:
    """The boundary of one series of looks."""

    looks: tuple[int, ...]
    critical: float
    """C."""
    scales: tuple[float, ...]
    """s at the levels of `_ALPHAS`."""

    def level(self, blocks: int, alpha: float) -> float:
        """The p below which a look after so many blocks decides, of α for all looks."""
        if len(self.looks) == 1:
            return alpha
        alphas, scales = self._curve()
        scale = float(np.exp(np.interp(np.log(alpha), alphas, scales)))
        if alpha < _ALPHAS[0]:  # beyond the table the first ratio is kept
            scale = self.scales[0] * alpha / _ALPHAS[0]
        return scale * self._shape(blocks)

    def overall(self, blocks: int, p_value: float) -> float:
        """The smallest α at which this p would have decided: a p-value for all looks together."""
        if len(self.looks) == 1:
            return p_value
        scale = max(p_value, 1e-300) / self._shape(blocks)
        if scale < self.scales[0]:
            return _ALPHAS[0] * scale / self.scales[0]
        alphas, scales = self._curve()
        return float(np.exp(np.interp(np.log(scale), scales, alphas)))

    def _shape(self, blocks: int) -> float:
        share = (blocks / self.looks[-1]) ** (DELTA - 0.5)
        return float(2 * special.ndtr(-self.critical * share))

    def _curve(self) -> tuple[Float[np.ndarray, " levels"], Float[np.ndarray, " levels"]]:
        """log α and log s, up to α = 1, where the last look decides at p = 1."""
        last = 1 / self._shape(self.looks[-1])
        return np.log((*_ALPHAS, 1.0)), np.log((*self.scales, last))


@lru_cache(maxsize=256)
def boundary(looks: tuple[int, ...]) -> Boundary:
    """The boundary for these looks, rising, the last one the cap."""
    cap = looks[-1]
    if len(looks) == 1:
        return Boundary(looks, float(-special.ndtri(_BASE / 2)), _ALPHAS)
    if cap in _TABLE and looks == every_block(cap):
        return Boundary(looks, *_TABLE[cap])
    return simulated(looks)


def simulated(looks: tuple[int, ...]) -> Boundary:
    """The boundary by simulation, for looks that are not in the table."""
    cap = looks[-1]
    deviates = _deviates(looks)
    shares = (np.array(looks) / cap) ** (0.5 - DELTA)
    critical = float(np.quantile((deviates * shares).max(1), 1 - _BASE))
    smallest = (special.ndtr(-deviates) / special.ndtr(-critical / shares)).min(1)
    return Boundary(looks, critical, tuple(float(np.quantile(smallest, a)) for a in _ALPHAS))


@lru_cache(maxsize=65536)
def level(looks: tuple[int, ...], blocks: int, alpha: float) -> float:
    """`Boundary.level`, remembered."""
    return boundary(looks).level(blocks, alpha)


def _deviates(looks: tuple[int, ...]) -> Float[np.ndarray, "draws looks"]:
    """The normal deviates of the p-values of series without any effect."""
    generator = np.random.default_rng(20240229)
    found = []
    size = max(1, _CACHED // looks[-1])
    for start in range(0, _DRAWS, size):  # in parts that stay in the processor's cache
        blocks = generator.standard_normal((min(size, _DRAWS - start), looks[-1]))
        parts = []
        for n in looks:
            part = blocks[:, :n]
            t = np.abs(part.mean(1)) / part.std(1, ddof=1) * np.sqrt(n)
            parts.append(-special.ndtri(np.maximum(special.stdtr(n - 1, -t), 1e-300)))
        found.append(np.stack(parts, axis=1))
    deviates: Float[np.ndarray, "draws looks"] = np.concatenate(found)
    return deviates
