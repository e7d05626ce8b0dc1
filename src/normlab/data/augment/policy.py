"""What an augmentation does, by name: operations joined by "+", or a preset.

mirror   left and right exchanged with probability 1/2
shift    up to an eighth of the side each way, whole pixels
crop     a random part of 40 to 100 % of the area, sides 3:4 to 4:3, scaled to the whole
         (Szegedy et al. 2015, with a gentler area)
rotate   up to ±15 degrees
jitter   brightness, contrast and saturation by factors of 0.6 to 1.4, hue by ±18 degrees
trivial  one operation of 14 with a random strength (Müller & Hutter 2021, TrivialAugment wide)
rand     two operations of 14 with strength 9 of 30 (Cubuk et al. 2020, RandAugment)
erase    with probability 1/4 a rectangle of 2 to 33 % becomes the mean colour (Zhong et al. 2020)
mixup    two images and labels blended, weight from Beta(0.2, 0.2) (Zhang et al. 2018)
cutmix   a rectangle of another image, labels by area, weight uniform (Yun et al. 2019);
         with mixup too, one of both in every batch

none = (nothing)   light = mirror+shift   standard = mirror+crop+rotate+jitter
strong = mirror+crop+trivial+erase+mixup+cutmix
"""

from __future__ import annotations

from normlab.records.run import AUGMENTATION_PRESETS, Policy

GEOMETRIC = frozenset({"crop", "rotate"})
CHOSEN = frozenset({"trivial", "rand"})
MIXING = frozenset({"mixup", "cutmix"})
_ONE_PASS = frozenset({"mirror", "shift", "crop", "rotate", "jitter"})


def operations(name: str) -> Policy:
    """The operations of an augmentation.

    >>> sorted(operations("light"))
    ['mirror', 'shift']
    """
    text = AUGMENTATION_PRESETS.get(name, name)
    return frozenset(filter(None, text.split("+")))


def in_one_pass(policy: Policy) -> bool:
    """Whether the second method applies (normlab.data.augment.one_pass): something is resampled or
    recoloured, by one map of the plane and one of the colours.
    """
    once = policy - MIXING - {"erase"}
    return bool(once) and once <= _ONE_PASS and not moves_alone(policy - MIXING)


def moves_alone(policy: Policy) -> bool:
    """Whether whole pixels are moved and nothing else: exact, and several times as quick."""
    return policy <= {"mirror", "shift"}
