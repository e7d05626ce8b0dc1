"""Studies in object stores: what is copied when, who may write, and a real S3 on the loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from normlab.errors import LeaseLostError, UsageError
from normlab.study.object_store import coordinator as leases
from normlab.study.object_store.coordinator import Coordinator
from normlab.study.object_store.mirror import Mirror
from normlab.study.object_store.session import local_folder, open_store, with_copy

fsspec = pytest.importorskip("fsspec")
RUN = "runs/b00-bn-0123456789ab"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[object, str]]:
    found, root = open_store(f"memory://{tmp_path.name}")
    yield found, root
    if found.exists(root):
        found.rm(root, recursive=True)


def write(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = (
            folder
            / RUN
            / {"rows": "epochs.jsonl", "state": "checkpoint/state.ckpt"}.get(name, f"{name}.json")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


class Watched:
    """A store that notes the order of what is written, and fails after some writes."""

    def __init__(self, store: object, writes: int = 99) -> None:
        self._store, self._writes = store, writes
        self.written: list[str] = []

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite") -> None:
        if len(self.written) == self._writes:
            raise OSError("the store is gone")
        self.written.append(path.rpartition("/")[2])
        self._store.pipe_file(path, value, mode=mode)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_what_vouches_for_other_files_is_copied_last(store, tmp_path: Path) -> None:
    watched = Watched(store[0])
    mirror = Mirror(watched, store[1], tmp_path / "a")
    mirror.pull("one")
    write(tmp_path / "a", outcome="o", state="s", rows="r", spec="p")
    assert mirror.push() == 4
    assert watched.written[-2:] == ["state.ckpt", "outcome.json"]
    assert mirror.push() == 0
    shutil.rmtree(tmp_path / "a" / RUN / "checkpoint")
    assert mirror.push() == 1
    assert not store[0].exists(f"{store[1]}/{RUN}/checkpoint/state.ckpt")


def test_another_machine_goes_on_from_the_store(store, tmp_path: Path) -> None:
    one = Mirror(store[0], store[1], tmp_path / "a")
    one.pull("one")
    write(tmp_path / "a", rows="1")
    one.close("one")
    other = Mirror(store[0], store[1], tmp_path / "b")
    other.pull("two")
    assert (tmp_path / "b" / RUN / "epochs.jsonl").read_text() == "1"
    write(tmp_path / "b", rows="1 2", outcome="o")
    other.close("two")
    write(tmp_path / "a", rows="of before", spec="nobody has seen it")
    back = Mirror(store[0], store[1], tmp_path / "a")
    back.pull("three")  # the store is the truth: another has written since
    assert (tmp_path / "a" / RUN / "epochs.jsonl").read_text() == "1 2"
    assert not (tmp_path / "a" / RUN / "spec.json").exists()
    assert back.push() == 0


def test_what_could_not_be_copied_is_copied_the_next_time(store, tmp_path: Path) -> None:
    broken = Mirror(Watched(store[0], writes=1), store[1], tmp_path / "a")
    broken.pull("one")
    write(tmp_path / "a", rows="1 2 3")
    with pytest.raises(OSError, match="gone"):
        broken.push()
    again = Mirror(store[0], store[1], tmp_path / "a")
    again.pull("two")
    again.push()
    assert store[0].cat_file(f"{store[1]}/{RUN}/epochs.jsonl") == b"1 2 3"


def test_one_process_at_a_time(store, monkeypatch) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.5)
    first = Coordinator(*store, "memory://x")
    watch = leases.time.sleep

    def sleep(seconds: float) -> None:  # the owner lives while the other one waits
        watch(seconds)
        first.beat()

    monkeypatch.setattr(leases.time, "sleep", sleep)
    with pytest.raises(UsageError, match=f"run by process {os.getpid()} on"):
        Coordinator(*store, "memory://x")
    monkeypatch.setattr(leases.time, "sleep", watch)
    second = Coordinator(*store, "memory://x")  # which has not answered for half a second
    watch(0.1)  # when its next heartbeat is due
    with pytest.raises(LeaseLostError, match="another process now"):
        first.beat()
    second.release()
    assert Coordinator(*store, "memory://x").token != second.token


def test_a_command_gets_the_folder_of_this_machine(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "cache"))
    address = f"memory://{tmp_path.name}/study"
    with with_copy(["run", address, "--yes"]) as arguments:
        folder = Path(arguments[1])
        assert folder == local_folder(address)
        write(folder, rows="1")
    store, root = open_store(address)
    assert store.cat_file(f"{root}/{RUN}/epochs.jsonl") == b"1"
    assert not [path for path in store.find(root) if "coordinator" in path]
    with with_copy(["compare", "photos", f"--out={address}"]) as arguments:
        assert arguments[2] == f"--out={folder}"
    with with_copy(["norms", "s3://is/not/looked/at"]) as arguments:
        assert arguments == ["norms", "s3://is/not/looked/at"]


def test_a_store_that_cannot_be_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="nothing://a/b is no address of a store"):
        open_store("nothing://a/b")


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real S3-compatible server on the loopback, with a bucket."""
    pytest.importorskip("s3fs")
    server = shutil.which("moto_server")
    if server is None:
        pytest.skip("no moto_server here: pip install 'moto[s3,server]' somewhere on the path")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([server, "-H", "127.0.0.1", "-p", str(port)])
    environment = {
        "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1", "NORMLAB_CACHE": str(tmp_path / "cache"),
        "NORMLAB_LEASE_SECONDS": "3", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    try:
        for _ in range(600):
            try:
                request = urllib.request.Request(f"{url}/bucket", method="PUT")
                urllib.request.urlopen(request, timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield {**os.environ, **environment}
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_study_in_s3_is_killed_and_goes_on_elsewhere(s3: dict[str, str], tmp_path: Path) -> None:
    """Two machines: two caches. The second goes on from what the first one has copied."""
    address = "s3://bucket/study"
    train = [
        *("train", "demo:digits", "--norm", "bn", "--epochs", "12", "--image-size", "8", "--yes"),
        *("--model", "cifar-resnet8", "--device", "cpu", "--no-live"),
    ]
    command = [sys.executable, "-m", "normlab"]
    process = subprocess.Popen([*command, *train, "--out", address], env=s3)
    store, root = _store(s3)
    rows: list[str] = []
    while not rows and process.poll() is None:
        store.invalidate_cache()
        rows = [path for path in store.find(root) if path.endswith("state.ckpt")]
        time.sleep(0.2)
    process.kill()
    process.wait()
    assert rows
    elsewhere = {**s3, "NORMLAB_CACHE": str(tmp_path / "other")}
    subprocess.run([*command, "run", address, "--yes", "--no-live"], env=elsewhere, check=True)
    subprocess.run([*command, *train, "--out", str(tmp_path / "here")], env=s3, check=True)
    store.invalidate_cache()
    for name in ("weights.safetensors", "predictions.npz", "layers.jsonl"):
        (there,) = [path for path in store.find(root) if path.endswith(f"/{name}")]
        (here,) = (tmp_path / "here" / "runs").glob(f"*/{name}")
        assert store.cat_file(there) == here.read_bytes(), name
    assert not [path for path in store.find(root) if "coordinator" in path]


def _store(environment: dict[str, str]) -> tuple[object, str]:
    """In this process, whose environment has no credentials."""
    options = {
        "key": "x", "secret": "x", "endpoint_url": environment["AWS_ENDPOINT_URL"],
        "client_kwargs": {"region_name": "us-east-1"},
    }  # fmt: skip
    return fsspec.filesystem("s3", **options), "bucket/study"
