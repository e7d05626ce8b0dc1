"""Findings about single files: what could not be used, and what is not what it seems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, UInt8

from normlab.data.check.base import DataToCheck, Found, check
from normlab.data.check.files import FileFacts
from normlab.data.check.finding import percent, some
from normlab.data.scan import part_gaps
from normlab.records.data_report import Evidence
from normlab.text import count

SHOWN = 12
TINY = 24
"""Pixels of the shorter side below which an image holds little."""
HUGE = 40_000_000
"""Pixels above which decoding dominates everything else."""
DARK = 32
"""The largest value of an image, of 255, up to which nothing is to be seen in it."""
LEAST_DARK = 0.02
"""The share of dark images from which they are more than some pictures of the night."""
ORDINARY_MODES = ("RGB", "L")


@check("DC001", "unreadable files", severity="warning")
def unreadable(data: DataToCheck) -> Iterator[Found]:
    """Files with an image's ending that cannot be decoded."""
    bad = data.manifest.unreadable
    if not bad:
        return
    first = "; ".join(f"{name}: {reason}" for name, reason in bad[:3])
    more = "; …" if len(bad) > 3 else ""
    yield Found(
        count=len(bad),
        message=f"{count(len(bad), 'file')} cannot be used ({first}{more}).",
        remedy="Repair or remove them; they are left out until then.",
        table=(
            ("file", "reason"),
            *((name, reason) for name, reason in bad[:200]),
        ),
    )


@check("DC008", "images outside the classes", severity="warning")
def outside(data: DataToCheck) -> Iterator[Found]:
    """Images that lie in no class's folder."""
    manifest = data.manifest
    if manifest.skipped:
        names = [name for name, _ in manifest.skipped]
        yield Found(
            count=len(names),
            message=f"{count(len(names), 'image')} in no class's folder: {some(names)}.",
            remedy="Move them into the folder of their class; they are left out until then.",
        )


@check("DC009", "how the images were read", severity="warning", short=True)
def reading(data: DataToCheck) -> Iterator[Found]:
    """Files left out by their endings, missing classes, classes spelled almost the same."""
    for note in data.manifest.notes:
        yield Found(count=note.number, message=_sentence(note.text), remedy=_sentence(note.remedy))


@check("DC014", "classes missing from a part", severity="error")
def missing_from_parts(data: DataToCheck) -> Iterator[Found]:
    """Classes that some parts of the source have and others have not; `compare` refuses them."""
    manifest = data.manifest
    labels = [manifest.classes[label] for label in manifest.labels.tolist()]
    gaps = part_gaps(labels, manifest.parts.tolist())
    if gaps:
        shown = "; ".join(
            f"{name} has none in {' and '.join(gaps[name])}" for name in sorted(gaps)[:6]
        )
        yield Found(
            count=len(gaps),
            message=f"{shown}{'; …' if len(gaps) > 6 else ''}.",
            remedy="Add images of the class there, or remove it: compare refuses the data.",
        )


@check("DC002", "wrong file ending", severity="note")
def wrong_ending(data: DataToCheck) -> Iterator[Found]:
    """An ending that is not that of the format."""
    yield from _odd_files(
        data,
        data.file_facts.misnamed.astype(bool),
        "an ending that is not that of the format",
        "Rename them; they are read by their content.",
    )


@check("DC003", "animated images", severity="warning")
def animated(data: DataToCheck) -> Iterator[Found]:
    """Files of several frames."""
    yield from _odd_files(
        data,
        data.file_facts.frames > 1,
        "several frames, of which the first is used",
        "Split them, or remove them.",
    )


@check("DC004", "tiny images", severity="warning")
def tiny(data: DataToCheck) -> Iterator[Found]:
    """Images with a side under 24 px."""
    yield from _odd_files(
        data,
        np.minimum(data.manifest.widths, data.manifest.heights) < TINY,
        f"smaller than {TINY} px on a side",
        "Remove them, or train at a size that they have.",
    )


@check("DC005", "huge images", severity="note")
def huge(data: DataToCheck) -> Iterator[Found]:
    """Images of more than 40 million pixels."""
    yield from _odd_files(
        data,
        data.manifest.widths.astype(np.int64) * data.manifest.heights > HUGE,
        f"more than {HUGE // 10**6} million pixels",
        "Nothing has to be done; the first preparation takes longer.",
    )


@check("DC006", "images turned by EXIF", severity="note")
def turned_by_exif(data: DataToCheck) -> Iterator[Found]:
    """Files whose EXIF data say that they are to be shown turned or mirrored."""
    yield from _odd_files(
        data,
        data.file_facts.orientations > 1,
        "stored turned or mirrored with a note in the EXIF data; the note is followed here, "
        "other tools may ignore it",
        "Rotate the files for good if other programs read them too.",
    )


@check("DC007", "unusual colour modes", severity="note")
def odd_modes(data: DataToCheck) -> Iterator[Found]:
    """Files that are neither plain RGB nor grey."""
    yield from _odd_files(
        data,
        ~np.isin(data.file_facts.modes, ORDINARY_MODES) & (data.file_facts.modes != ""),
        f"neither plain RGB nor grey ({_modes(data.file_facts)}); transparency is laid on white, "
        "16 bits are scaled",
        "Look whether one class has more of them than others.",
    )


@check("DC022", "nearly black images", severity="warning", short=True)
def nearly_black(data: DataToCheck) -> Iterator[Found]:
    """Images that use a small part of the range, as 12 bits of a camera in 16-bit files do."""
    which = _brightest(data.images) <= DARK
    facts = data.files
    found = np.flatnonzero(which)
    if len(found) < max(1, LEAST_DARK * len(which)):
        return
    names = [str(data.manifest.names[index]) for index in found]
    deep = found[facts.highest[found] >= 0] if facts is not None else found[:0]
    if facts is not None and len(deep):
        low, high = int(facts.lowest[deep].min()), int(facts.highest[deep].max())
        what = f"range {low} to {high} of 65535"
        bits = max(1, high.bit_length())
        remedy = (
            f"Their values have {bits} bits in files of 16: multiply them by "
            f"65535/{2**bits - 1} and save them again."
        )
    else:
        what = f"no value above {int(_brightest(data.images[found]).max())} of 255"
        remedy = (
            "If they are 10 or 12 bits of a camera in files of 16 bits, scale their values to the "
            "whole range and save them again; normlab check gives the range."
        )
    verb = "is" if len(found) == 1 else "are"
    yield Found(
        count=len(found),
        message=f"{count(len(found), 'image')} ({percent(len(found) / len(which))}) {verb} nearly "
        f"black, {what}: {some(names)}.",
        remedy=remedy,
        evidence=(Evidence(names=tuple(names[:SHOWN])),),
    )


def _brightest(images: UInt8[np.ndarray, "n s s 3"]) -> UInt8[np.ndarray, " n"]:
    """The largest value of each image."""
    found = np.zeros(len(images), np.uint8)
    for first in range(0, len(images), 2048):
        block = images[first : first + 2048]
        found[first : first + len(block)] = block.reshape(len(block), -1).max(1)
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _odd_files(
    data: DataToCheck, which: Bool[np.ndarray, " n"], what: str, remedy: str
) -> Iterator[Found]:
    """One finding about the images in question, if there are any."""
    names = data.manifest.names
    found = np.flatnonzero(which)
    if len(found):
        chosen = [str(names[index]) for index in found]
        yield Found(
            count=len(found),
            message=f"{count(len(found), 'image')} ({percent(len(found) / len(names))}): "
            f"{what}. {'It is' if len(found) == 1 else 'Among them'} {some(chosen)}.",
            remedy=remedy,
            evidence=(Evidence(names=tuple(chosen[:SHOWN])),),
        )


def _modes(facts: FileFacts) -> str:
    odd = [mode for mode in facts.modes.tolist() if mode and mode not in ORDINARY_MODES]
    return ", ".join(f"{mode} {count}" for mode, count in Counter(odd).most_common(4))
