"""Which files are images, by their endings, and which a system put there for itself."""

from __future__ import annotations

import functools
import posixpath
import unicodedata
from importlib.util import find_spec

EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp", "jp2", "j2k", "jpx"),
        *("png", "apng", "gif", "webp", "avif"),
        *("bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm"),
    )
)
HEIF = frozenset({".heic", ".heif", ".hif"})
"""Read with the extra "heic", and counted as left out without it."""
_PICTURES = frozenset(
    f".{ending}"
    for ending in (
        *("arw", "cr2", "cr3", "dng", "nef", "orf", "raf", "rw2", "raw"),  # cameras
        *("dcm", "exr", "hdr", "ico", "jxl", "npy", "pdf", "pnm", "psd", "svg", "tga", "xcf"),
        *("avi", "mkv", "mov", "mp4", "webm"),
    )
)
"""Endings of pictures and films that are not read."""
_SYSTEM = frozenset(
    name.casefold()
    for name in (
        *("__MACOSX", "Network Trash Folder", "Temporary Items", "TheVolumeSettingsFolder"),
        *("$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "ehthumbs.db", "desktop.ini"),
        *("@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@tmp", "@__thumb"),
        *("~snapshot", "lost+found", "__pycache__", "Icon\r", "Picasa.ini"),
    )
)
"""Folders and files of macOS, Windows, Synology, QNAP, NetApp, Linux and Python."""
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_RENAMED = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "WebP": ".webp", "BMP": ".bmp"}


def ending_of(name: str) -> str:
    """The ending in small letters, with its dot; "" where there is none."""
    return posixpath.splitext(name)[1].lower()


def is_hidden(name: str) -> bool:
    """Whether a system put it there for itself."""
    folder, _, file = name.rpartition("/")
    return _is_systems(file) or (folder != "" and _in_hidden_folder(folder))


@functools.lru_cache(maxsize=4096)
def _in_hidden_folder(folder: str) -> bool:
    return any(map(_is_systems, folder.split("/")))


def _is_systems(part: str) -> bool:
    return part.startswith(".") or part.casefold() in _SYSTEM


def is_image(name: str) -> bool:
    """Whether its ending is that of an image and it is not hidden."""
    ending = ending_of(name)
    known = ending in EXTENSIONS or (ending in HEIF and reads_heif())
    return known and not is_hidden(name)


def is_picture(name: str) -> bool:
    """Whether its ending is one of pictures or films, read or not."""
    ending = ending_of(name)
    return ending in EXTENSIONS or ending in HEIF or ending in _PICTURES


@functools.cache
def reads_heif() -> bool:
    """Whether the library for HEIC is installed."""
    return find_spec("pillow_heif") is not None


def kind_by_content(start: bytes) -> str:
    """The kind of image that a file begins like; "" where it begins like none."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    if is_heif(start):
        return "HEIC"
    return next((kind for magic, kind in _SIGNATURES.items() if start.startswith(magic)), "")


def is_heif(start: bytes) -> bool:
    """Whether a file begins like HEIC or HEIF."""
    return start[4:8] == b"ftyp" and start[8:12] in {
        *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
    }


def usual_ending(kind: str) -> str:
    """The ending under which a kind of image is read."""
    return _RENAMED.get(kind, ".tif" if kind == "TIFF" else "")


def canonical(text: str) -> str:
    """The text in Unicode's composed form (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
