"""Every reader of a file against bytes that are not its format: one sentence, or a value.

Hypothesis turns bytes of a file that is right, cuts it, and makes up others. The long form, with
whole commands, is `python -m tests.torture --kind inputs`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from normlab.data.decode import decode, header_size
from normlab.data.sources.arrays import open_npz
from normlab.data.sources.by_location import open_source
from normlab.data.tables.rows import read_table
from normlab.errors import NormlabError
from normlab.networks.libraries.weights import read_state
from normlab.records.plan import read_plan
from normlab.records.predictions import Predictions, pack, unpack
from normlab.records.robustness import read_robustness
from normlab.stats.audit.reading import read_tables
from normlab.study.job import Job

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

pytestmark = pytest.mark.slow


def _zip(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, images=np.zeros((4, 2, 2), np.uint8), labels=np.array([0, 1, 0, 1]))
    return buffer.getvalue()


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4), (9, 200, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def _jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), (9, 200, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


def _predictions() -> bytes:
    shares = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    return pack(Predictions(np.array(["a", "b"]), np.array([0, 1]), shares))


def _table(name: str) -> Callable[[bytes, Path], object]:
    def read(content: bytes, folder: Path) -> object:
        table = read_table(content, name)
        return table.columns, list(table.rows())

    return read


def _file(reader: Callable[[Path], object], name: str) -> Callable[[bytes, Path], object]:
    def read(content: bytes, folder: Path) -> object:
        (folder / name).write_bytes(content)
        return reader(folder / name)

    return read


def _robustness(content: bytes, folder: Path) -> object:
    (folder / "stress.jsonl").write_bytes(content)
    return read_robustness(folder)


TOML = b'name = "a"\nblocks = 3\n[data]\nsource = "x"\n[[factors]]\nnorm = ["bn", "gn"]\n'
ROWS = b'{"path": "a.png", "label": "b"}\n{"path": "c.png", "label": "d"}\n'
STRESS = b'{"run":"r","change":"blur","level":"1","accuracy":0.5,"images":4,"seed":0}\n'
READERS: dict[str, tuple[bytes, Callable[[bytes, Path], object]]] = {
    "a plan": (TOML, _file(read_plan, "study.toml")),
    "a CSV": (b'path,label\n"a,1.png",b\nc.png,d\n', _table("t.csv")),
    "a JSON": (json.dumps([json.loads(line) for line in ROWS.splitlines()]).encode(),
               _table("t.json")),
    "JSON lines": (ROWS, _table("t.jsonl")),
    "an .npz": (_npz(), _file(open_npz, "a.npz")),
    "a zip": (_zip(**{"a/1.png": _png(), "b/2.png": _png()}),
              _file(lambda path: open_source(str(path)).items(), "a.zip")),
    "a PNG": (_png(), lambda content, folder: decode(content, 4, "squash")),
    "a JPEG": (_jpeg(), lambda content, folder: decode(content, 4, "fit")),
    "a header": (_jpeg(), lambda content, folder: header_size(content)),
    "predictions": (_predictions(), lambda content, folder: unpack(content, Path("p.npz"))),
    "weights": (safetensors.numpy.save({"w": np.zeros(3, np.float32)}),
                _file(read_state, "w.safetensors")),
    "stress rows": (STRESS, _robustness),
    "a CSV to audit": (b"norm,accuracy\nbn,81.2\ngn,80.4\n", _file(read_tables, "t.csv")),
    "a page to audit": (b"<table><tr><th>norm<th>accuracy<tr><td>bn<td>81.2</table>",
                        _file(read_tables, "t.html")),
    "Markdown to audit": (b"| norm | accuracy |\n|---|---|\n| bn | 81.2 |\n",
                          _file(read_tables, "t.md")),
    "LaTeX to audit": (b"\\begin{tabular}{ll}norm & accuracy\\\\bn & 81.2\\\\\\end{tabular}",
                       _file(read_tables, "t.tex")),
    "a job": (b'{"study": "s", "spec": {}, "evaluate_test": true, "settings": {}}',
              lambda content, folder: Job.from_json(content.decode("utf-8", "replace"))),
}  # fmt: skip
HOSTILE = (
    b"", b"[" * 100_000, b'{"a":' * 50_000, b"a = " + b"[" * 50_000, b"9" * 5_000,
    b"a." * 20_000 + b"a = 1\n", b"blocks = " + b"9" * 5_000, b'{"a": ' + b"9" * 5_000 + b"}",
    b'path,label\n"' + b"a" * 300_000 + b'",b\n', b'"' + b"a" * 200_000, b"\xff\xfe" + b"a\0" * 9,
    b'[{"path": "\\ud800.png", "label": "a"}]', b"<table>" + b"<tr><td>" * 5_000,
    b"\\begin{tabular}{l}" + b"{" * 20_000, b"PK\x03\x04" + bytes(60), b"a = 1979-99-99\n",
)  # fmt: skip


def read(name: str, content: bytes, folder: Path) -> bool:
    """Whether a reader takes it; any other exception than a sentence of ours is the test's."""
    try:
        READERS[name][1](content, folder)
    except NormlabError:
        return False
    return True


@pytest.mark.parametrize("name", READERS)
def test_bytes_of_another_kind_end_in_a_sentence(name: str, tmp_path: Path) -> None:
    right = READERS[name][0]
    accepted = read(name, right, tmp_path)
    assert accepted or name in ("a plan", "a job")  # which lack what a study would tell them
    for content in HOSTILE:
        read(name, content, tmp_path)

    @hypothesis.settings(max_examples=40, deadline=None, database=None, derandomize=True)
    @hypothesis.given(data=st.data())
    def turn(data) -> None:
        damaged = bytearray(right)
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(damaged) - 1))
            damaged[place] = data.draw(st.integers(0, 255))
        read(name, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]), tmp_path)
        read(name, bytes(damaged), tmp_path)
        read(name, data.draw(st.binary(max_size=60)), tmp_path)

    turn()


def test_an_exception_of_a_parser_is_found(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(READERS, "none", (b"", lambda content, folder: int("9" * 5_000)))
    with pytest.raises(ValueError, match="digits"):
        read("none", b"", tmp_path)
