"""How far float32 is from float64, and exports from the run, for finished runs of any network.

python benchmarks/export_rounding.py STUDY/runs/RUN …

Prints, over up to 200 test pictures and all classes: the rounding error r of the network, the
largest difference of each form from the run, and that over r (2 is what an export may have).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from normlab.cli.verbs.export import _check_pictures, _study_of
from normlab.serving.export.check import largest_difference, rounding_error
from normlab.serving.export.forms import facts, write_onnx, write_program
from normlab.serving.export.program import trace
from normlab.serving.predictor import Predictor


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    print("| network | norm | r | torch | onnx | largest / r |\n|---|---|--:|--:|--:|--:|")
    for run in parser.parse_args().runs:
        predictor = Predictor.load(run)
        check = _check_pictures(run, _study_of(run), None)
        rounding = rounding_error(predictor, check.pictures)
        traced = trace(predictor, torch.from_numpy(check.pictures[:8].copy()), 1e-5, folding=False)
        about = facts(predictor, traced)
        with tempfile.TemporaryDirectory() as folder:
            forms = [
                write_program(traced, about, Path(folder) / "model.pt2"),
                write_onnx(traced, about, Path(folder) / "model.onnx"),
            ]
            differences = [largest_difference(form, check) for form in forms]
        spec = predictor.spec
        print(f"| {spec.network.name} | {spec.norm} | {rounding:.1e} | {differences[0]:.1e} | "
              f"{differences[1]:.1e} | {max(differences) / rounding:.2f} |")  # fmt: skip


if __name__ == "__main__":
    main()
