"""Networks of other authors as networks of ours: the same logits, or a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import normlab
from normlab.errors import UsageError
from normlab.serving.course.imported import import_weights

from .test_course import NETWORKS, CourseNetwork, LibraryNetwork, PaddedNetwork, randomized

ONE_THAT_OURS_CANNOT_BE = "all stages project"


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind != ONE_THAT_OURS_CANNOT_BE])
def test_the_folder_classifies_as_its_author_does(kind: str, tmp_path: Path) -> None:
    make, norm, _ = NETWORKS[kind]
    theirs = randomized(make())
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    found = import_weights(
        tmp_path / "net.pth", norm, tmp_path / "out", mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)
    )
    ours = normlab.load(tmp_path / "out")
    assert ours.classes == tuple(map(str, range(found.layout.classes)))
    images = torch.rand(4, 3, 32, 32)
    mean, std = (torch.tensor(t).view(1, 3, 1, 1) for t in ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)))
    with torch.inference_mode():
        torch.testing.assert_close(
            ours(images), theirs((images - mean) / std), rtol=1e-4, atol=1e-4
        )


def test_what_ours_cannot_be_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    def refused(network: torch.nn.Module, norm: str, sentence: str, **more: object) -> None:
        torch.save(randomized(network).state_dict(), tmp_path / "net.pth")
        with pytest.raises(UsageError, match=sentence):
            import_weights(tmp_path / "net.pth", norm, tmp_path / "out", **more)  # type: ignore[arg-type]
        assert not (tmp_path / "out").exists()

    refused(LibraryNetwork(1, 7, (True, True, True)), "bn", "projection in the first stage")
    refused(CourseNetwork(1, 4, gate=True), "bin", "4 classes, and 2 names", classes=("a", "b"))
    refused(CourseNetwork(1, 4, gate=True), "bin", "each of 3 channels", mean=(0.5,))
    refused(CourseNetwork(1, 4, gate=True), "bin", "divided by", std=(0.5, 0.0, 0.5))
    with_biases = PaddedNetwork(1, 3)
    for module in with_biases.modules():
        if isinstance(module, torch.nn.Conv2d) and module.bias is None:
            module.bias = torch.nn.Parameter(torch.ones(module.out_channels))
    refused(with_biases, "gn:groups=4", "biases of convolutions before gn")
