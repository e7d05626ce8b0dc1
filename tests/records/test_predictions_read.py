"""Predictions are read as np.load reads them, and the collector is left as it was."""

import gc
import io
from pathlib import Path

import numpy as np
import pytest

from normlab.errors import StorageError
from normlab.records.files import no_collection
from normlab.records.predictions import Predictions, pack, unpack


@pytest.mark.parametrize("grouped", [False, True])
def test_as_numpy_reads_them(grouped: bool) -> None:
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(3), 7).astype(np.float32)
    packed = pack(
        Predictions(
            np.array([f"photo {k} é.jpg" for k in range(7)]),
            random.integers(0, 3, 7),
            np.asfortranarray(shares),
            np.arange(7) if grouped else None,
        )
    )
    found = unpack(packed, Path("predictions.npz"))
    with np.load(io.BytesIO(packed)) as arrays:
        for name in arrays.files:
            value = getattr(found, name)
            assert value.dtype == arrays[name].dtype
            np.testing.assert_array_equal(value, arrays[name])
    assert (found.groups is not None) == grouped


def test_objects_are_refused() -> None:
    buffer = io.BytesIO()
    objects = np.array([{}, {}], dtype=object)
    np.savez(buffer, ids=objects, labels=np.zeros(2), probabilities=np.zeros((2, 2)))
    with pytest.raises(StorageError, match="is damaged"):
        unpack(buffer.getvalue(), Path("predictions.npz"))


def test_the_collector_is_left_as_it_was() -> None:
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with no_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
