"""Streams: repeatable, independent, and apart from every global generator."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from normlab.randomness import numpy_stream, stream_seed, torch_stream


def test_a_stream_is_its_name() -> None:
    assert torch.equal(
        torch.rand(5, generator=torch_stream(0, 1, "order", 2)),
        torch.rand(5, generator=torch_stream(0, 1, "order", 2)),
    )
    one, other = (numpy_stream(0, 1, "split").random(5) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_seeds_stay_as_they_are() -> None:
    """A change here changes the numbers of every study: raise NUMERICS_VERSION with it."""
    assert stream_seed(0, 0, "init") == 1649050479308622834


def test_all_streams_differ() -> None:
    identities = itertools.product((0, 1), range(10), ("init", "order", "augment"), range(10))
    seeds = [stream_seed(*identity) for identity in identities]
    assert len(set(seeds)) == len(seeds)


def test_global_generators_are_not_touched() -> None:
    before, state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    torch.rand(3, generator=torch_stream(0, 0, "init"))
    numpy_stream(0, 0, "init").random(3)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
