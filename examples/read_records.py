"""The records of a study as a table, for an analysis of your own. Needs no torch.

Run it with:

    python examples/read_records.py [FOLDER]       # of examples/study.py: digits-study
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from normlab.records.store import read_runs


def outcomes(folder: Path) -> pd.DataFrame:
    """One row a run: arm, block, status, and the accuracies of the weights that were kept."""
    return pd.DataFrame(
        {
            "arm": run.spec.arm,
            "block": run.spec.block,
            "status": run.outcome.status,
            "validation": run.outcome.validation and run.outcome.validation.accuracy,
            "test": run.outcome.test and run.outcome.test.accuracy,
        }
        for run in read_runs(folder)
        if run.outcome is not None
    )


def main() -> None:
    """Print the runs, the arms' means, and the differences block by block."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "digits-study")
    table = outcomes(folder)
    print(table.to_string(index=False))
    by_block = table.pivot_table(index="block", columns="arm", values="test")
    print(by_block.sub(by_block["bn"], axis=0).mean().rename("difference to bn"))
    rows = [len(run.rows) for run in read_runs(folder)]
    print(f"{sum(rows)} epochs in {len(rows)} runs")


if __name__ == "__main__":
    main()
