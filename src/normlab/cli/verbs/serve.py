"""`normlab serve`: a study's networks over HTTP, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli import options
from normlab.cli.screen.echo import echo
from normlab.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from normlab.serving.predictor import Predictor

MODULES = ("fastapi", "uvicorn", "python_multipart")


def serve(
    study: Annotated[Path, typer.Argument(help="A study's folder, or that of one of its runs.")],
    arms: Annotated[
        str | None,
        typer.Option(
            help="Whose networks, with commas; shown side by side.",
            show_default="the recommended one and the reference",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to serve at; others than this machine's are open.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8232,
    rate: Annotated[
        float, typer.Option(min=1, max=1e6, help="Requests a second that one address may make.")
    ] = 200.0,
    max_upload: Annotated[float, typer.Option(min=0.1, max=1024, help="MiB of a picture.")] = 10.0,
    trust_plugins: options.TrustPlugins = False,
) -> None:
    """Classify pictures in a browser, or by POST /predict; pictures stay on this machine.

    The page shows class, probabilities and where the networks look. Ctrl-C ends it.
    """
    from importlib.util import find_spec

    for module in MODULES:
        if find_spec(module) is None:
            raise MissingExtraError(module.replace("_", "-"), "serve")
    from normlab.serving.web.app import make_app
    from normlab.serving.web.limits import LOCAL, Limits
    from normlab.serving.web.server import serve as serve_app

    options.use_plugins_of(study, trusted=trust_plugins)
    networks = _networks(study, options.split_list(arms) if arms else ())
    limits = Limits(hosts=(*LOCAL, host), body=int(max_upload * 2**20), rate=rate)
    app = make_app(networks, _coloured_map, limits)

    def started(address: str) -> None:
        echo(f"serving  {', '.join(networks)} · {address} · Ctrl-C ends it")
        if host not in LOCAL:
            echo("normlab: everybody who reaches this machine can ask it", err=True)

    serve_app(app, host, port, started)


def _networks(study: Path, arms: tuple[str, ...]) -> dict[str, Predictor]:
    """The networks by their arms, the recommended one first."""
    from normlab.cli.verbs.predict import find_run
    from normlab.serving.predictor import Predictor

    folder = study.parent if study.name == "study.toml" else study
    if arms or not (folder / "study.toml").exists():
        if len(set(arms)) < len(arms):
            raise UsageError(f"--arms names an arm twice: {', '.join(arms)}")
        runs = [find_run(study, arm) for arm in arms or ("",)]
    else:
        from normlab.stats.data.reading import read_study
        from normlab.stats.summary.analysis import analyse_study
        from normlab.stats.summary.chosen_run import chosen_run

        records = read_study(folder)
        analysis = analyse_study(records)
        first, _ = chosen_run(records, analysis)
        reference = analysis.settings[0].verdict.reference
        finished = {r.spec.arm for r in records.runs if (r.folder / "weights.safetensors").exists()}
        runs = [first.folder]
        if reference in finished - {first.spec.arm}:
            runs.append(chosen_run(records, analysis, str(reference))[0].folder)
    loaded = [Predictor.load(run) for run in runs]
    return {one.spec.arm: one for one in loaded}


def _coloured_map(
    predictor: Predictor, pixels: np.ndarray, target: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The Grad-CAM map in colours, the less opaque the weaker it is; and the probabilities."""
    import numpy as np

    from normlab.explain.drawing import colour
    from normlab.explain.maps import image_maps

    found = image_maps(predictor, pixels[None], None if target is None else [target])
    values = found.maps[0] / max(float(found.maps[0].max()), 1e-12)
    opaque = (255 * np.sqrt(values)).round().astype(np.uint8)[..., None]
    return np.concatenate([colour(values), opaque], -1), found.probabilities[0]
