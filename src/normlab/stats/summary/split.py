"""The split that a study really used, in words, from what the study recorded of its data.

The rules are those of normlab.data.split: a source's `test` part, or else its `val` part, is the
test part; its `val` part beside a `test` part is the validation part; what a source lacks is cut.
"""

from __future__ import annotations

from normlab.records.data_report import DataReport
from normlab.records.plan import DataPlan


def split_sentence(plan: DataPlan, data: DataReport | None) -> str:
    """Where the validation and the test part come from, as a sentence of a methods paragraph.

    Without a record of the data nothing is said of the test part but that it is fixed.
    """
    share = _percent(plan.validation_fraction)

    def cut(images: str) -> str:
        return f"the validation part is {share} of {images}, by class, cut anew in each block"

    if data is None:
        return f"The test part is fixed; {cut('the training images')}."
    parts = data.parts
    if "val" in parts and "test" in parts:
        return "Validation and test part are those of the source, the same in every block."
    if "test" in parts:
        return f"The test part is that of the source; {cut('its training part')}."
    if "val" in parts:
        return (
            "The test part is what the source calls val, on which nothing was chosen; "
            f"{cut('its training part')}."
        )
    return (
        f"The test part is {_percent(plan.test_fraction)} of the images, by class, the same in "
        f"every block; {cut('the others')}."
    )


def validation_is_cut(data: DataReport | None) -> bool:
    """Whether each block cuts a validation part of its own out of the training images."""
    return data is None or not {"val", "test"} <= data.parts.keys()


def curves_note(data: DataReport | None) -> str:
    """What train and validation are in a figure of learning curves, and where test is."""
    train = "Train: the running figures of each epoch, with augmentation, while the weights moved."
    source = (
        "which each block cuts out of the training images"
        if validation_is_cut(data)
        else "the source's own val part"
    )
    test = "the test part"
    if data is not None and "val" in data.parts and "test" not in data.parts:
        test = "the test part, which is the source's val part,"
    return (
        f"{train} Validation: the part that picks, {source}, in evaluation mode; {test} is looked "
        "at once, at the end, and stands in the tables."
    )


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
