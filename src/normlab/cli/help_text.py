"""What --help says beside the options: the five to know first, and examples that can be copied.

A test parses every example, so that none names an option that is not there.
"""

from __future__ import annotations

FIRST: dict[str, tuple[str, ...]] = {
    "compare": ("norms", "blocks", "budget", "out", "yes"),
    "plan": ("norms", "blocks", "budget", "out", "yes"),
    "train": ("norm", "model", "epochs", "image_size", "out"),
    "run": ("blocks", "budget", "data", "jobs", "yes"),
}
"""Verb → the parameters that a newcomer needs; of the others all are in their groups."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "check": ("normlab check photos/", "normlab check photos/ --fix photos.csv"),
    "compare": (
        "normlab compare photos/",
        "normlab compare photos/ --norms bn,gn:groups=8,none --budget 30m",
        "normlab compare photos/ --norms bn,gn --batch-sizes 4,32 --blocks 5 --epochs 20",
    ),
    "plan": ("normlab plan photos/ --norms bn,gn --blocks 10", "normlab run photos-study"),
    "run": ("normlab run photos-study", "normlab run photos-study --blocks 10 --jobs auto"),
    "status": ("normlab status photos-study",),
    "report": (
        "normlab report photos-study",
        "normlab report photos-study --watch",
        "normlab report photos-study flowers-study --out both",
    ),
    "train": ("normlab train photos/ --norm gn:groups=8 --epochs 20",),
    "predict": (
        "normlab predict photos-study one.jpg",
        "normlab predict photos-study photos/ --out classes.csv",
    ),
    "export": (
        "normlab export photos-study",
        "normlab export photos-study --to onnx --to hf --out bird-network",
    ),
    "serve": ("normlab serve photos-study", "normlab serve photos-study --arms bn,gn --port 0"),
    "course-report": ("normlab course-report norm-study batch-study",),
    "infer": (
        "normlab infer --model_file net.pth --normalization bn --n 2 "
        "--test_data_file test.csv --output_file classes.csv",
    ),
    "import-weights": ("normlab import-weights net.pth --normalization bin",),
    "explain": (
        "normlab explain photos-study",
        "normlab explain photos-study --arms bn,gn --images 3",
    ),
    "stress": ("normlab stress photos-study --changes contrast,blur",),
    "track": ("normlab track photos-study --to mlflow:http://127.0.0.1:5000",),
    "verify": ("normlab verify photos-study",),
    "audit": ("normlab audit table.csv --images 10000",),
    "norms": ("normlab norms",),
    "networks": ("normlab networks",),
    "checks": ("normlab checks",),
    "executors": ("normlab executors",),
    "slurm-submit": ("normlab slurm-submit photos-study --runs partition=gpu,time=2h,gres=gpu:1",),
    "bench": ("normlab bench --norms bn,gn,none --image-size 64",),
    "cache": ("normlab cache", "normlab cache --clean"),
    "doctor": ("normlab doctor",),
}
"""Verb → commands as a user types them."""

VERBS: dict[str, tuple[str, ...]] = {
    "Start here": ("check", "compare", "predict", "report"),
    "Studies": ("plan", "run", "slurm-submit", "status", "verify", "track", "train"),
    "Use a network": ("serve", "export"),
    "The course": ("infer", "import-weights", "course-report"),
    "Why": ("explain", "stress", "audit"),
    "What there is": ("norms", "networks", "checks", "executors", "bench", "cache", "doctor"),
}
"""Heading → verbs, in the help of the tool; what is named nowhere comes under the last one."""

SHORT: dict[str, str] = {
    "check": "Can these images be trusted? Copies, leaks, shortcuts, labels.",
    "compare": "Train every norm under equal conditions; say which to use.",
    "predict": "Classify images with a study's network; scores, if labelled.",
    "report": "Rebuild tables, figures and the page from the records.",
    "plan": "Write the frozen plan of a comparison, and stop there.",
    "run": "Start a plan, continue a study, give it more blocks.",
    "status": "What of a study is done, and what is left.",
    "verify": "Whether a study's records are whole and agree.",
    "track": "Send a study to MLflow, W&B or TensorBoard.",
    "train": "Train one network.",
    "export": "A network as ONNX, a torch program, a folder for the Hub.",
    "serve": "A page to drop pictures on, and POST /predict.",
    "course-report": "The course's tables, curves and galleries, as LaTeX.",
    "infer": "The course's program: weights and a CSV in, class ids out.",
    "import-weights": "Weights of another version of its network, as normlab's.",
    "explain": "Grad-CAM: where a network looked, by class.",
    "stress": "Accuracy as the images change: blur, noise, batches …",
    "audit": "Published tables held against arithmetic.",
    "norms": "The normalizations with options and papers.",
    "networks": "What --model takes.",
    "checks": "What is looked for in data and in studies, by code.",
    "executors": "Who can make the runs of a study.",
    "slurm-submit": "Leave a study to SLURM, which carries it to its end.",
    "bench": "Time of a training step with every norm on this machine.",
    "cache": "What is kept on this machine, and removing it.",
    "doctor": "Versions, kernels, devices, extras; what is missing for what.",
}
"""Verb → its line in the help of the tool; of others it is their own first sentence."""

SYNONYMS: dict[str, str] = {
    "arms": "norms",
    "batch": "batch-sizes",
    "cpu": "device",
    "cuda": "device",
    "dir": "out",
    "force": "yes",
    "gpu": "device",
    "lr": "learning-rates",
    "network": "model",
    "optim": "optimizers",
    "output": "out",
    "px": "image-size",
    "repeats": "blocks",
    "runs": "blocks",
    "seeds": "blocks",
    "size": "image-size",
    "time": "budget",
    "workers": "jobs",
}
"""Names that other tools have → ours, where letters alone would not lead there."""

ABOUT: dict[str, str] = {
    "plan": "Write the plan of a comparison, frozen and hashed; start it with: normlab run.",
}
"""Verb → what --help says first, where it is not what the function says."""
