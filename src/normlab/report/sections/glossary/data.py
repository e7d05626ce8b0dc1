"""What the words of the page mean, in plain English; of norms only those that the study has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TERMS: Mapping[str, str] = {
    "arm": "one of the things that are compared, here as a rule a normalization layer",
    "block": (
        "one training of every arm under equal conditions: the same split, initial weights, order "
        "of images and augmentation; papers often call it a seed"
    ),
    "setting": "everything that is varied and is not the arm: optimizer, learning rate, batch size",
    "reference": "the arm that the others are set against",
    "train, validation, test": (
        "trained on; used for choosing (early stopping, learning rates); judged on, once a run, "
        "after its last epoch"
    ),
    "use": "the arm that no other arm is shown to beat",
    "level (practically equal)": (
        "shown to differ by less than the margin, so that the choice does not matter"
    ),
    "not": "another arm is shown to be better",
    "open (undecided)": (
        "neither a difference nor equality is shown so far; that is not the same as equal, and "
        "more blocks may decide it"
    ),
    "margin": "the smallest difference that counts; it was fixed before the first run",
    "interval": (
        "the differences that the blocks are compatible with; where it leaves out 0, a difference "
        "is shown"
    ),
    "P(better)": "the share of blocks in which the arm was the better one, ties counting half",
    "exploratory": "a first impression, from fewer than five blocks or by rules added afterwards",
    "chance level": "what guessing gets: one class in so many; an arm there has learned nothing",
    "points": "percent of accuracy that are subtracted: from 80 % to 78 % is −2 points",
    "accuracy": "the share of images that are named rightly",
    "micro F1": "the same number as accuracy where every image has one class",
    "macro F1": "the mean over classes of F1, in which rare classes count as much as common ones",
    "loss": "cross-entropy in nats: how little probability the true class was given",
    "Grad-CAM": "where in a picture the evidence for a class lies, by the network's own gradients",
}

NORMS: Mapping[str, str] = {
    "bn": "batch normalization: mean and deviation of a channel over the images of a batch",
    "torch-bn": "the framework's own batch normalization, to check ours against",
    "in": "instance normalization: of a channel of one image",
    "bin": "batch-instance normalization: a learned mixture of batch and instance normalization",
    "ln": "layer normalization: over all channels of one image",
    "gn": "group normalization: over groups of channels of one image",
    "none": "no normalization",
}


def terms(arms: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Words and what they mean, the norms of these arms last."""
    names = dict.fromkeys(arm.split(":")[0].split(" ")[0] for arm in arms)
    norms = ((name, NORMS[name]) for name in names if name in NORMS)
    return (*TERMS.items(), *norms)
