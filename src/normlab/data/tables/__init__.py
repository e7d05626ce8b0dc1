"""Tables to items: CSV, TSV, JSON lines, Parquet and COCO files that name images and classes."""

from normlab.data.tables.columns import LABEL_COLUMNS
from normlab.data.tables.items import TABLE_ENDINGS, items_of_table, lists_images, unlisted
from normlab.data.tables.paths import Files

__all__ = [
    "LABEL_COLUMNS",
    "TABLE_ENDINGS",
    "Files",
    "items_of_table",
    "lists_images",
    "unlisted",
]
