"""The application: a page, /predict, /explain, /health, /metrics, and /docs without a CDN.

No path of a request is opened, and no name of an uploaded file is used. Needs the extra `serve`.
"""

from __future__ import annotations

import asyncio
import base64
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, File, HTTPException, Query, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, PlainTextResponse
from PIL import Image
from pydantic import BaseModel

from normlab._version import __version__
from normlab.data.decode import decode, header_size, quiet_pillow
from normlab.errors import DataError
from normlab.serving.predictor import Predictor
from normlab.serving.web.batching import Batcher
from normlab.serving.web.limits import Guard, Limits

PIXELS = 40_000_000
"""Of an uploaded picture: a header may promise more than a server has memory for."""
KEPT_TIMES = 10_000
"""Times of answers that the quantiles of /metrics are taken over."""
HEADERS = {
    "content-security-policy": "default-src 'none'; img-src 'self' data: blob:; connect-src 'self';"
    " style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
Picture = Annotated[UploadFile, File(description="A JPEG, PNG, WebP, …")]
Name = Annotated[str | None, Query(description="The arm; by default the recommended one.")]
ColouredMap = Callable[[Predictor, np.ndarray, int | None], tuple[np.ndarray, np.ndarray]]
"""Network, pixels and class (None: the predicted one) → coloured map (S, S, 4), probabilities."""


class Answer(BaseModel):
    """What one network says of a picture."""

    network: str
    """The arm."""
    prediction: str
    """The class with the largest probability."""
    probabilities: dict[str, float]
    """Class → probability, the most probable first."""


class Explanation(Answer):
    """An answer with the places that speak for a class."""

    explained: str
    """The class that the map is of."""
    picture: str
    """What the network saw, as a data URI."""
    map: str
    """The Grad-CAM map of the same size, coloured and transparent where it is 0, as a data URI."""


@dataclass
class Counters:
    """What /metrics tells."""

    requests: dict[tuple[str, int], int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def count(self, path: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self.requests[path, status] = self.requests.get((path, status), 0) + 1
        if path == "/predict":
            self.seconds.append(seconds)
            del self.seconds[:-KEPT_TIMES]


class Networks:
    """The networks of a server, the first of which answers where none is named."""

    def __init__(self, predictors: Mapping[str, Predictor], coloured_map: ColouredMap) -> None:
        """Start a thread for each."""
        self.predictors = dict(predictors)
        self.batchers = {name: Batcher(one) for name, one in predictors.items()}
        self._coloured_map = coloured_map

    def named(self, name: str | None) -> str:
        """A network's name.

        Raises:
            HTTPException: there is no such network.
        """
        known = list(self.predictors)
        if name is not None and name not in self.predictors:
            raise HTTPException(404, f"there is no network of that name; there are {known}")
        return name or known[0]

    def pixels(self, content: bytes, name: str) -> np.ndarray:
        """An uploaded picture as the network takes it.

        Raises:
            HTTPException: it is no picture, or too large.
        """
        data = self.predictors[name].spec.data
        try:
            with quiet_pillow():
                if _promised(content) > PIXELS:
                    raise HTTPException(413, f"a picture has at most {PIXELS:,} pixels")
                return decode(content, data.image_size, data.resize)[0]
        except DataError as error:
            raise HTTPException(422, f"the picture {error}") from None

    async def answer(self, content: bytes, name: str) -> Answer:
        """What a network says of a picture."""
        pixels = await run_in_threadpool(self.pixels, content, name)
        return self._answer(name, await asyncio.wrap_future(self.batchers[name].ask(pixels)))

    def explanation(self, content: bytes, name: str, target: str | None) -> Explanation:
        """An answer with a map."""
        predictor = self.predictors[name]
        classes = list(predictor.spec.data.classes)
        if target is not None and target not in classes:
            raise HTTPException(404, "there is no class of that name")
        pixels = self.pixels(content, name)
        index = None if target is None else classes.index(target)
        with self.batchers[name].lock:  # the map watches the network's layers
            coloured, probabilities = self._coloured_map(predictor, pixels, index)
        answer = self._answer(name, probabilities)
        return Explanation(
            **answer.model_dump(),
            explained=target or answer.prediction,
            picture=_data_uri(pixels),
            map=_data_uri(coloured),
        )

    def _answer(self, name: str, probabilities: np.ndarray) -> Answer:
        classes = self.predictors[name].spec.data.classes
        order = np.argsort(-probabilities)
        shares = {classes[i]: float(probabilities[i]) for i in order}
        return Answer(network=name, prediction=classes[order[0]], probabilities=shares)


def make_app(
    predictors: Mapping[str, Predictor], coloured_map: ColouredMap, limits: Limits
) -> Guard:
    """The guarded application of some networks, by their names."""
    networks, counters = Networks(predictors, coloured_map), Counters()
    app = FastAPI(title="normlab", version=__version__, docs_url=None, redoc_url=None)
    guard = Guard(app, limits)

    @app.middleware("http")
    async def counted(request: Any, call_next: Any) -> Any:
        start = time.perf_counter()
        response = await call_next(request)
        route = request.scope.get("route")
        path = route.path if route is not None else "other"
        counters.count(path, response.status_code, time.perf_counter() - start)
        response.headers.update(HEADERS)
        return response

    @app.post("/predict")
    async def predict(picture: Picture, network: Name = None) -> Answer:
        """The class of a picture, and the probability of every class."""
        return await networks.answer(await picture.read(), networks.named(network))

    @app.post("/explain")
    async def explain(
        picture: Picture,
        network: Name = None,
        target: Annotated[
            str | None, Query(description="The class; by default the predicted one.")
        ] = None,
    ) -> Explanation:
        """The same, and where in the picture the evidence for a class lies (Grad-CAM)."""
        content = await picture.read()
        return await run_in_threadpool(
            networks.explanation, content, networks.named(network), target
        )

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether it answers, and which networks it has."""
        return {"status": "ok", "normlab": __version__, "networks": list(networks.predictors)}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        """Counters in the text form of Prometheus."""
        return metrics_text(counters, networks, guard)

    for path, file in (("/", "page.html.j2"), ("/docs", "docs.html.j2")):
        _serve_page(app, path, (Path(__file__).parent / file).read_text(encoding="utf-8"))
    return guard


def _serve_page(app: FastAPI, path: str, page: str) -> None:
    @app.get(path, response_class=HTMLResponse, include_in_schema=False)
    async def shown() -> str:
        return page


def metrics_text(counters: Counters, networks: Networks, guard: Guard) -> str:
    """Requests by path and status, seconds of /predict, pictures and batches."""
    lines = ["# TYPE normlab_requests_total counter"]
    for (path, status), number in sorted(counters.requests.items()):
        lines.append(f'normlab_requests_total{{path="{path}",status="{status}"}} {number}')
    for status, number in sorted(guard.refused.items()):
        lines.append(f'normlab_requests_total{{path="refused",status="{status}"}} {number}')
    lines.append("# TYPE normlab_predict_seconds summary")
    if counters.seconds:
        for quantile in (0.5, 0.99):
            value = float(np.quantile(counters.seconds, quantile))
            lines.append(f'normlab_predict_seconds{{quantile="{quantile}"}} {value:.6f}')
    lines.append(f"normlab_predict_seconds_count {len(counters.seconds)}")
    for kind in ("pictures", "batches"):
        lines.append(f"# TYPE normlab_{kind}_total counter")
        for name, batcher in networks.batchers.items():
            label = name.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'normlab_{kind}_total{{network="{label}"}} {getattr(batcher, kind)}')
    return "\n".join(lines) + "\n"


def _promised(content: bytes) -> int:
    """The pixels that a picture's header promises; 0 where it has none."""
    try:
        width, height = header_size(content)
    except DataError:
        return 0
    return width * height


def _data_uri(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
