"""All checks of a source, in the order in which a reader needs them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from normlab.data.check.balance import size_text
from normlab.data.check.base import DataToCheck, data_checks
from normlab.data.check.files import FileFacts, read_facts
from normlab.data.check.finding import percent, worst_first
from normlab.data.dataset import Dataset, load_data
from normlab.data.duplicates.near_duplicates import COMPARED_AT, group_duplicates
from normlab.data.duplicates.pair_file import Decisions
from normlab.data.duplicates.search_pairs import Duplicates
from normlab.data.scan import Manifest, Progress, no_progress
from normlab.data.sources.by_location import open_source
from normlab.records.data_report import DataReport, Finding
from normlab.records.plan import CopyLevel


@dataclass(frozen=True, eq=False)
class CheckedData:
    """What was checked and what was found."""

    report: DataReport
    dataset: Dataset
    duplicates: Duplicates
    """All pairs; its groups are those of what is acted on."""
    decisions: Decisions


def check_data(
    location: str,
    *,
    copies: CopyLevel = "duplicates",
    pairs: str | Path = "",
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> CheckedData:
    """Run every check on a folder, table or archive.

    Args:
        location: the source.
        copies: which pairs are acted on; a table's groups are kept together as well.
        pairs: a pairs.csv with decisions, or "".
        cache: another folder for the cache.
        progress: is told what is being done.

    Raises:
        DataError: the source cannot be used at all, or `pairs` is not of these images.
        StorageError: the cache cannot be written.
    """
    start = time.monotonic()
    dataset = load_data(location, COMPARED_AT, cache=cache, progress=progress)
    manifest = dataset.manifest
    facts = read_facts(open_source(location), [str(n) for n in manifest.names], progress)
    grouped = group_duplicates(dataset, copies, pairs, cache=cache, progress=progress)
    duplicates, dataset = grouped.pairs, grouped.dataset
    manifest = dataset.manifest
    progress("weighing shortcuts", 0, 1)
    data = DataToCheck(manifest, dataset.images, facts, duplicates)
    findings = worst_first([finding for check in data_checks() for finding in check(data)])
    found = {finding.code for finding in findings}
    report = DataReport(
        source=location,
        fingerprint=manifest.fingerprint,
        classes=manifest.classes,
        images=len(manifest),
        parts=_parts(manifest),
        facts=tuple(_facts(manifest, facts, duplicates.groups)),
        findings=findings,
        passed=tuple((c.code, c.title) for c in data_checks() if c.code not in found),
        seconds=time.monotonic() - start,
    )
    return CheckedData(report, dataset, duplicates, grouped.decisions)


def quick_report(dataset: Dataset) -> DataReport:
    """What a study keeps of its data: the quick findings, and what was looked at."""
    start = time.monotonic()
    manifest = dataset.manifest
    findings = quick_findings(dataset)
    return DataReport(
        source=manifest.location,
        fingerprint=manifest.fingerprint,
        classes=manifest.classes,
        images=len(manifest),
        parts=_parts(manifest),
        facts=(),
        findings=findings,
        passed=(),
        seconds=time.monotonic() - start,
    )


def quick_findings(dataset: Dataset) -> tuple[Finding, ...]:
    """Errors and warnings from prepared pixels and known groups, in a second or two."""
    data = DataToCheck(dataset.manifest, dataset.images)
    found = [finding for check in data_checks() if check.short for finding in check(data)]
    return worst_first([finding for finding in found if finding.severity != "note"])


def _parts(manifest: Manifest) -> dict[str, int]:
    names, counts = np.unique(manifest.parts, return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True) if name}


def _facts(
    manifest: Manifest, facts: FileFacts, groups: Int[np.ndarray, " n"]
) -> Iterator[tuple[str, str]]:
    counts = np.bincount(manifest.labels, minlength=len(manifest.classes))
    yield "images", f"{len(manifest):,} in {len(manifest.classes)} classes"
    yield "images of a class", f"{counts.min():,} to {counts.max():,}"
    if parts := _parts(manifest):
        yield "parts", ", ".join(f"{name} {count:,}" for name, count in parts.items())
    yield "sizes", size_text(manifest)
    kinds, numbers = np.unique(facts.formats, return_counts=True)
    yield (
        "formats",
        ", ".join(
            f"{kind or 'unknown'} {percent(number / len(manifest))}"
            for kind, number in sorted(zip(kinds, numbers, strict=True), key=lambda p: -p[1])
        ),
    )
    yield "photographs", f"{len(np.unique(groups)):,} after copies are joined"
