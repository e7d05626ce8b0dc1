from __future__ import annotations

from tiny_studies import dataset as dataset
from tiny_studies import make_plan as make_plan
from tiny_studies import pictures as pictures
