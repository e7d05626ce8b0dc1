"""The search in cells finds what comparing everything finds."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from normlab.data.duplicates import index
from normlab.data.duplicates.index import nearest_by
from normlab.norms.fused.cpu.build import PAIRS
from normlab.norms.fused.cpu.loader import has_operators


def descriptors(count: int) -> torch.Tensor:
    """Some spread out, and of each another one close by, as copies are."""
    generator = torch.Generator().manual_seed(0)
    own = torch.randn(count // 2, 16, generator=generator)
    beside = own + 0.3 * torch.randn(count // 2, 16, generator=generator)
    return F.normalize(torch.cat([own, beside]))


def test_everything_is_compared_up_to_a_number() -> None:
    base = descriptors(600)
    value, place = nearest_by(base, 4)(base, 0)
    similar = base @ base.T
    similar.fill_diagonal_(-2)
    expected = similar.topk(4, dim=1)
    assert torch.equal(place, expected.indices)
    torch.testing.assert_close(value, expected.values)


def test_cells_find_the_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    base = descriptors(4000)
    _, every = nearest_by(base, 4)(base, 0)
    monkeypatch.setattr(index, "EXACT", 100)
    monkeypatch.setattr(index, "_CHUNK", 1500)  # several, the last one shorter
    value, place = nearest_by(base, 4)(base, 0)
    assert (place != torch.arange(4000)[:, None]).all()
    assert (value[:, :1] >= value).all()
    assert (place[:, 0] == every[:, 0]).float().mean() > 0.98
    torch.testing.assert_close(value, (base[place] * base[:, None]).sum(-1))
    part, _ = nearest_by(base, 4)(base[1000:1500], 1000)
    torch.testing.assert_close(part, value[1000:1500])


@pytest.mark.skipif(not has_operators(PAIRS), reason="there is no C++ compiler")
@pytest.mark.parametrize("exact", [50, 5000])
def test_the_kernel_finds_what_the_operations_find(
    exact: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By cells, and by all; the numbers of images are no multiple of anything."""
    monkeypatch.setattr(index, "EXACT", exact)
    base = descriptors(1003)
    found = index.nearest_by(base, 5)(base[100:400], 100)
    monkeypatch.setattr(index, "has_operators", lambda kernel: False)
    value, place = index.nearest_by(base, 5)(base[100:400], 100)
    assert torch.allclose(found[0], value, atol=1e-5)
    assert torch.equal(found[1], place)
    assert not (place == torch.arange(100, 400)[:, None]).any()
