"""What a study says, as in a notebook: the answer, the table, a network, a picture.

Run it with:

    python examples/ask_a_study.py [FOLDER]       # of examples/study.py: digits-study
"""

from __future__ import annotations

import sys

import normlab


def main() -> None:
    """Ask a finished study of the digits."""
    study = normlab.Study.open(sys.argv[1] if len(sys.argv) > 1 else "digits-study")
    print(study)  # progress and answer; in a notebook `study` alone shows a table, too
    print(study.verdict)  # use, level, not, open
    print(study.table()[["arm", "accuracy", "difference", "decision"]].to_string(index=False))

    network = study.network(study.best)  # a torch module with its preprocessing; None: the best
    image = normlab.load_data("demo:digits", network.spec.data.image_size).images[0]
    label, share = next(iter(network.classify(image).items()))
    print(f"the first digit is a {label} ({100 * share:.0f} %)")


if __name__ == "__main__":
    main()
