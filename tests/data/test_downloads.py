"""Data sets of other libraries, with stand-ins for the libraries: nothing is downloaded here."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from normlab.data.dataset import load_data
from normlab.data.layout import Item
from normlab.data.locations import resolved, short_name
from normlab.data.sources import open_source
from normlab.data.sources.download_folder import download_folder
from normlab.data.sources.downloads import download
from normlab.errors import DataError, MissingExtraError, UnknownNameError


def picture(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


class Pictures:
    """What the data sets of torchvision have in common."""

    count = 6

    def __init__(self, root: str, download: bool = False) -> None:
        file = Path(root) / "data.bin"
        if download:
            file.write_bytes(b"pictures")
        if not file.exists():
            raise RuntimeError("Dataset not found or corrupted.\nYou can use download=True.")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return picture(index), index % 2


class WithTrain(Pictures):
    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        super().__init__(root, download)
        self.classes = ["cat", "dog"]
        self.targets = [n % 2 for n in range(6)]


class WithSplit(Pictures):
    def __init__(self, root: str, split: str = "train", download: bool = False) -> None:
        if split not in ("trainval", "test"):
            raise ValueError("Unknown value for argument split")
        super().__init__(root, download)


class Whole(Pictures):
    def __init__(self, root: str, download: bool = False) -> None:
        super().__init__(root, download)


class Boxes(Whole):
    def __getitem__(self, index: int) -> tuple[Image.Image, object]:
        return picture(index), {"box": index}


class Offline(Whole):
    def __init__(self, root: str, download: bool = False) -> None:
        if download:
            raise OSError("Network is unreachable")
        super().__init__(root, download)


class NoDownload:
    def __init__(self, root: str) -> None:
        raise AssertionError("is not offered")


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    library = ModuleType("torchvision.datasets")
    sets = (WithTrain, WithSplit, Whole, Boxes, Offline, NoDownload)
    for kind in sets:
        setattr(library, kind.__name__, kind)
    library.__all__ = [*(kind.__name__ for kind in sets)]
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", library)
    return library


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize(
    ("name", "parts", "label"),
    [
        ("WithTrain", {"train", "test"}, "cat"),
        ("WithSplit", {"train", "test"}, "0"),
        ("Whole", {""}, "0"),
    ],
)
def test_torchvision_once_it_is_downloaded(name: str, parts: set[str], label: str) -> None:
    location = f"torchvision:{name}"
    with pytest.raises(DataError, match=rf"{location} is not on this machine; add --download to"):
        open_source(location)
    folder = download(location)
    assert folder == download_folder(location)
    source = open_source(location)
    assert {item.part for item in source.items()} == parts
    assert len(source.items()) == 6 * len(parts)
    assert source.items()[0].label == label
    with Image.open(io.BytesIO(source.read(source.items()[1].name))) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(picture(1)))
    assert source.signature == open_source(location).signature
    assert load_data(location, 8).manifest.location == location
    (folder / "data.bin").unlink()
    with pytest.raises(DataError, match=r"is not whole in .* \(Dataset not found or corrupted\)"):
        open_source(location)


@pytest.mark.usefixtures("torchvision")
def test_torchvision_that_cannot_be(monkeypatch) -> None:
    with pytest.raises(UnknownNameError, match="data set of torchvision 'Hole'; did you mean 'Who"):
        open_source("torchvision:Hole")
    with pytest.raises(UnknownNameError, match="NoDownload"):
        download("torchvision:NoDownload")
    with pytest.raises(DataError, match=r"could not be downloaded \(Network is unreachable\); che"):
        download("torchvision:Offline")
    download("torchvision:Boxes")
    with pytest.raises(DataError, match="gives no one class to each image; use another data set"):
        open_source("torchvision:Boxes")


class Features(dict):
    """Column → its kind."""


class ImageFeature:
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    names = ("cat", "dog")


class Rows:
    """A split."""

    def __init__(self, columns: dict[str, list], features: dict[str, object]) -> None:
        self.columns, self.features = columns, features

    def __getitem__(self, key: int | str) -> object:
        if isinstance(key, str):
            return iter(self.columns[key])
        return {name: values[key] for name, values in self.columns.items()}

    def cast_column(self, name: str, feature: ImageFeature) -> Rows:
        assert not feature.decode
        return self


class Content(dict):
    def save_to_disk(self, folder: str) -> None:
        Path(folder).mkdir(parents=True)
        (Path(folder) / "state.json").write_text("{}")


def encoded(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "PNG")
    return buffer.getvalue()


def rows(labels: list, path: Path | None = None) -> Rows:
    images = [{"bytes": encoded(n), "path": None} for n in range(len(labels))]
    if path is not None:
        path.write_bytes(encoded(0))
        images[0] = {"bytes": None, "path": str(path)}
    features = {"image": ImageFeature(), "label": ClassLabel()}
    return Rows({"image": images, "label": labels}, features)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Content:
    """The library `datasets`, and what is on its hub."""
    content = Content()

    def load_dataset(name: str, configuration: str | None, cache_dir: str) -> Content:
        Path(cache_dir).mkdir(parents=True)
        if name == "me/none":
            raise FileNotFoundError("Dataset 'me/none' doesn't exist on the Hub")
        content["configuration"] = configuration
        return content

    def load_from_disk(folder: str) -> Content:
        assert (Path(folder) / "state.json").exists()
        return Content({key: value for key, value in content.items() if key != "configuration"})

    library = SimpleNamespace(
        load_dataset=load_dataset,
        load_from_disk=load_from_disk,
        Image=ImageFeature,
        ClassLabel=ClassLabel,
    )
    monkeypatch.setitem(sys.modules, "datasets", library)
    return content


def test_hugging_face_once_it_is_downloaded(hub: Content, tmp_path: Path, cache: Path) -> None:
    hub |= {
        "train": rows([0, 1, 0, 1, -1], tmp_path / "0.png"),
        "validation": rows([0, 1]),
        "unsupervised": rows([-1, -1]),
    }
    with pytest.raises(DataError, match="hf:me/pets:small is not on this machine; add --download"):
        open_source("hf:me/pets:small")
    folder = download("hf:me/pets:small")
    assert folder == cache / "downloads" / "hf" / "me--pets--small"
    assert hub["configuration"] == "small"
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]
    source = open_source("hf:me/pets:small")
    assert source.items()[0] == Item("train/0", "cat", "train")
    assert source.items()[-1] == Item("validation/1", "dog", "val")
    assert source.read("train/0") == encoded(0)
    assert source.read("train/3") == encoded(3)
    assert dict(source.skipped) == {
        "train/4": "has no label",
        "unsupervised": "is a split that is neither train, val nor test",
    }
    before = source.signature
    (folder / "state.json").write_text('{"changed": 1}')
    assert open_source("hf:me/pets:small").signature != before


def test_hugging_face_without_images_or_labels(hub: Content) -> None:
    hub["train"] = Rows({"text": ["a"]}, {"text": "str", "label": ClassLabel()})
    download("hf:me/text")
    with pytest.raises(DataError, match="has no column of images among text, label; use a data"):
        open_source("hf:me/text")
    hub["train"] = Rows({}, {"image": ImageFeature()})
    with pytest.raises(DataError, match="has no column of labels among image"):
        open_source("hf:me/text")


@pytest.mark.usefixtures("hub")
def test_a_download_that_fails_leaves_nothing(cache: Path) -> None:
    with pytest.raises(DataError, match=r"hf:me/none could not be downloaded \(Dataset 'me/none'"):
        download("hf:me/none")
    assert not list(cache.glob("downloads/hf/*/"))


@pytest.mark.parametrize(
    ("location", "library"), [("hf:me/pets", "hf"), ("torchvision:CIFAR10", "torchvision")]
)
def test_a_missing_extra(monkeypatch, location: str, library: str) -> None:
    for name in ("datasets", "torchvision", "torchvision.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (open_source, download):
        with pytest.raises(MissingExtraError, match=rf'pip install "normlab\[{library}\]"'):
            call(location)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ["", "/etc", "../x", "a/../../x", ".x"])
def test_a_name_that_leaves_the_cache(name: str) -> None:
    with pytest.raises(DataError, match="names no data set; write it like"):
        open_source(f"hf:{name}")


def test_locations() -> None:
    assert resolved("hf:a/b") == "hf:a/b"
    assert resolved("x") == str(Path("x").resolve())
    assert short_name("torchvision:Flowers102") == "Flowers102"
    assert short_name("hf:a/b:small") == "b-small"
    assert short_name("/a/cifar-10-python.tar.gz") == "cifar-10-python"
    assert short_name(".") == Path().resolve().name
