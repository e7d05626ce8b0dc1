"""Where images come from: folders, tables, archives, arrays, and data sets of other libraries.

A source lists its images in the order of their names and hands out the bytes of each.
"""

from normlab.data.sources.base import Source
from normlab.data.sources.by_location import open_source

__all__ = ["Source", "open_source"]
