"""Classes and probabilities of images, by the weights of a finished run.

Run it with:

    python examples/predict.py [FOLDER]       # of examples/study.py: digits-study
"""

from __future__ import annotations

import sys
from pathlib import Path

import normlab
from normlab.serving.predictor import Predictor


def main() -> None:
    """Predict the first images of the digits."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "digits-study")
    study = normlab.Study.open(folder)
    predictor = Predictor.load(study.run_folder(study.specs()[0]).path)
    classes = predictor.spec.data.classes
    images = normlab.load_data("demo:digits", predictor.spec.data.image_size).images[:5]
    for probabilities in predictor.probabilities(images):
        best = probabilities.argmax()
        print(f"{classes[best]}  {probabilities[best]:.2f}")


if __name__ == "__main__":
    main()
