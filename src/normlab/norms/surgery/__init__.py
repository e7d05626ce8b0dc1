"""Other people's networks: convert, fold and freeze their norms."""

from normlab.norms.surgery.convert import Conversion, ConvertedLayer, convert_norms
from normlab.norms.surgery.fold import Folding, fold
from normlab.norms.surgery.freeze import freeze, unfreeze
from normlab.norms.surgery.recognize import NormView, view
from normlab.norms.surgery.restore import restore_norms

__all__ = [
    "Conversion",
    "ConvertedLayer",
    "Folding",
    "NormView",
    "convert_norms",
    "fold",
    "freeze",
    "restore_norms",
    "unfreeze",
    "view",
]
