"""COCO files as lists of images with one class each; boxes of several classes are refused."""

from __future__ import annotations

from collections.abc import Mapping

from normlab.errors import DataError


def is_coco(content: Mapping[str, object]) -> bool:
    """Whether it has the three lists of COCO."""
    return all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    )


def coco_rows(content: Mapping[str, object], location: str) -> list[dict[str, object]]:
    """A row with file_name and label for each image that has one category.

    Raises:
        DataError: entries lack what COCO gives them, or an image has several categories.
    """
    images, annotations, categories = (
        content[key] for key in ("images", "annotations", "categories")
    )
    assert isinstance(images, list)
    assert isinstance(annotations, list)
    assert isinstance(categories, list)
    try:
        names = {entry["id"]: str(entry["name"]) for entry in categories}
        files = {entry["id"]: str(entry["file_name"]) for entry in images}
        found: dict[object, set[str]] = {}
        for entry in annotations:
            found.setdefault(entry["image_id"], set()).add(names[entry["category_id"]])
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{location} is not whole COCO: an entry lacks {error}; export it again"
        ) from None
    for image, labels in found.items():
        if len(labels) > 1:
            raise DataError(
                f"{location}: {files.get(image, image)} has several classes "
                f"({', '.join(sorted(labels)[:3])}), and normlab compares classifiers with one "
                "class an image; keep images of one class, or cut the boxes out"
            )
    return [
        {"file_name": files[image], "label": next(iter(labels))}
        for image, labels in found.items()
        if image in files
    ]
