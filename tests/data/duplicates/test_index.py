"""The search in cells finds what comparing everything finds."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from normlab.data.duplicates import index
from normlab.data.duplicates.index import nearest_by


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
