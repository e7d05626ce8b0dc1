"""Findings about single files: what could not be used, and what is not what it seems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from normlab.data.check.files import FileFacts
from normlab.data.check.finding import percent, some
from normlab.data.scan import Manifest
from normlab.records.data_report import Evidence, Finding, Severity
from normlab.text import count

SHOWN = 12
TINY = 24
"""Pixels of the shorter side below which an image holds little."""
HUGE = 40_000_000
"""Pixels above which decoding dominates everything else."""
ORDINARY_MODES = ("RGB", "L")


def unreadable(manifest: Manifest) -> Iterator[Finding]:
    """DC001: files with an image's ending that cannot be decoded."""
    bad = manifest.unreadable
    if not bad:
        return
    first = "; ".join(f"{name}: {reason}" for name, reason in bad[:3])
    more = "; …" if len(bad) > 3 else ""
    yield Finding(
        code="DC001",
        title="unreadable files",
        severity="warning",
        count=len(bad),
        message=f"{count(len(bad), 'file')} cannot be used ({first}{more}).",
        remedy="Repair or remove them; they are left out until then.",
        table=(
            ("file", "reason"),
            *((name, reason) for name, reason in bad[:200]),
        ),
    )


def outside(manifest: Manifest) -> Iterator[Finding]:
    """DC008: images that lie in no class's folder."""
    if manifest.skipped:
        names = [name for name, _ in manifest.skipped]
        yield Finding(
            code="DC008",
            title="images outside the classes",
            severity="warning",
            count=len(names),
            message=f"{count(len(names), 'image')} in no class's folder: {some(names)}.",
            remedy="Move them into the folder of their class; they are left out until then.",
        )


def odd_files(manifest: Manifest, facts: FileFacts) -> Iterator[Finding]:
    """DC002 … DC007: wrong ending, animated, tiny, huge, turned by EXIF, odd modes."""
    names = manifest.names
    smaller = np.minimum(manifest.widths, manifest.heights)
    pixels = manifest.widths.astype(np.int64) * manifest.heights
    cases: tuple[tuple[str, str, Severity, np.ndarray, str, str], ...] = (
        (
            "DC002",
            "wrong file ending",
            "note",
            facts.misnamed.astype(bool),
            "an ending that is not that of the format",
            "Rename them; they are read by their content.",
        ),
        (
            "DC003",
            "animated images",
            "warning",
            facts.frames > 1,
            "several frames, of which the first is used",
            "Split them, or remove them.",
        ),
        (
            "DC004",
            "tiny images",
            "warning",
            smaller < TINY,
            f"smaller than {TINY} px on a side",
            "Remove them, or train at a size that they have.",
        ),
        (
            "DC005",
            "huge images",
            "note",
            pixels > HUGE,
            f"more than {HUGE // 10**6} million pixels",
            "Nothing has to be done; the first preparation takes longer.",
        ),
        (
            "DC006",
            "images turned by EXIF",
            "note",
            facts.orientations > 1,
            "stored turned or mirrored with a note in the EXIF data; the note is followed here, "
            "other tools may ignore it",
            "Rotate the files for good if other programs read them too.",
        ),
        (
            "DC007",
            "unusual colour modes",
            "note",
            ~np.isin(facts.modes, ORDINARY_MODES) & (facts.modes != ""),
            f"neither plain RGB nor grey ({_modes(facts)}); transparency is laid on white, 16 bits "
            "are scaled",
            "Look whether one class has more of them than others.",
        ),
    )
    for code, title, severity, which, what, remedy in cases:
        found = np.flatnonzero(which)
        if len(found):
            chosen = [str(names[index]) for index in found]
            yield Finding(
                code=code,
                title=title,
                severity=severity,
                count=len(found),
                message=f"{count(len(found), 'image')} ({percent(len(found) / len(names))}): "
                f"{what}. {'It is' if len(found) == 1 else 'Among them'} {some(chosen)}.",
                remedy=remedy,
                evidence=(Evidence(names=tuple(chosen[:SHOWN])),),
            )


def _modes(facts: FileFacts) -> str:
    odd = [mode for mode in facts.modes.tolist() if mode and mode not in ORDINARY_MODES]
    return ", ".join(f"{mode} {count}" for mode, count in Counter(odd).most_common(4))
