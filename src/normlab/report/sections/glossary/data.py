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
    "use": (
        "an arm that no other arm is shown to beat: the best of them where one is, else the "
        "reference, as there is no reason to leave it"
    ),
    "level (practically equal)": (
        "shown to differ by less than the margin, so that the choice does not matter"
    ),
    "not": "another arm is shown to be better",
    "open (undecided)": (
        "neither a difference nor equality is shown so far; that is not the same as equal, and "
        "more blocks may decide it"
    ),
    "margin": (
        "the smallest difference that counts; how it is found was fixed before the first run, and "
        "as a rule it is a tenth of the reference's error in the first block"
    ),
    "interval": (
        "the differences that the blocks are compatible with; where it leaves out 0, a difference "
        "is shown"
    ),
    "better in": "the blocks, of those that both arms have, in which the arm was the better one",
    "exploratory": "a first impression, from fewer than five blocks or by rules added afterwards",
    "chance level": "what guessing gets: one class in so many; an arm there has learned nothing",
    "points": "percent of accuracy that are subtracted: from 80 % to 78 % is −2 points",
    "accuracy": "the share of images that are named rightly",
    "micro F1": "the same number as accuracy where every image has one class",
    "macro F1": "the mean over classes of F1, in which rare classes count as much as common ones",
    "loss": "cross-entropy in nats: how little probability the true class was given",
    "look": "a moment, after a block, at which the study is judged and may end",
    "probe": "a short run before the study, to see whether anything is learned at all",
    "Holm": "a rule that keeps the chance of any false finding among several below the stated one",
    "sign-flip test": "how often differences as large arise if every block's sign were a coin's",
    "ECE": "expected calibration error: how far stated probabilities are from how often they hold",
    "front": "the arms that no other arm is both faster and more accurate than",
    "gate": "of batch-instance normalization: 1 takes the batch's statistics, 0 the image's own",
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
