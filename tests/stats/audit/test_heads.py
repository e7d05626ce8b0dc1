"""What the words around a figure say."""

from __future__ import annotations

import pytest

from normlab.stats.audit.heads import (
    metrics_in_prose,
    part_of_prose,
    read_head,
    runs_in,
)


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("Accuracy", "accuracy"),
        ("Acc.", "accuracy"),
        ("val_acc", "accuracy"),
        ("testAcc", "accuracy"),
        ("Top-1", "accuracy"),
        ("Acc@1", "accuracy"),
        ("Prec@1 (%)", "accuracy"),
        ("top1 err", "error"),
        ("Top-1 error (%)", "error"),
        ("Test err(paper)", "error"),
        ("Top-5", "top-5 accuracy"),
        ("Acc@5", "top-5 accuracy"),
        ("top5_err", "top-5 error"),
        ("Top-3 accuracy", "other"),
        ("balanced accuracy", "other"),
        ("mean per-class accuracy", "other"),
        ("bal. acc.", "other"),
        ("B.Acc", "other"),
        ("macro-averaged accuracy", "other"),
        ("Rank-1", "other"),
        ("R@1", "other"),
        ("R20", None),
        ("mAP", "other"),
        ("box AP", "other"),
        ("global pixelwise acc", "other"),
        ("mIoU", "other"),
        ("Micro F1", "micro F1"),
        ("F1 (micro)", "micro F1"),
        ("F1 | Macro", "macro F1"),
        ("F1", "other"),
        ("weighted F1", "other"),
        ("top1_diff", "other"),
        ("Acc. gain", "other"),
        ("robust accuracy", "other"),
        ("loss", "loss"),
        ("Params (M)", None),
        ("batch size", None),
    ],
)
def test_metrics(text: str, metric: str | None) -> None:
    assert read_head(text).metric == metric


def test_the_rest_of_a_head() -> None:
    assert read_head("CoreML | Top-1").rest == read_head("CoreML | Top-5").rest == "CoreML"
    assert read_head("val. acc (%)").rest == ""
    assert read_head("ResNet-56 (k=12)").rest == "ResNet-56 (k=12)"
    assert read_head("CIFAR-100 test error").dataset == "CIFAR-100"
    assert read_head("train loss").part == "train"
    assert read_head("avg. accuracy").averaged


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Validation tables as printed", "validation"),
        ("Table 2: Training", "train"),
        ("Training results", "train"),
        ("Results on the training set", "train"),
        ("Train CIFAR10 with PyTorch", ""),
        ("Networks trained on CIFAR-10", ""),
        ("Train and validation accuracy", ""),
        ("Results on the test set", "test"),
    ],
)
def test_parts_in_titles(text: str, part: str) -> None:
    assert part_of_prose(text) == part


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("Mean of 5 runs.", 5),
        ("averaged over three random seeds", 3),
        ("Mean ± standard deviation", 0),
        ("average accuracy", 0),
        ("median of 5 runs", 0),
        ("5-fold cross-validation", 0),
        ("One run each.", 1),
        ("Accuracy", None),
        ("global average pooling", None),
    ],
)
def test_runs(text: str, runs: int | None) -> None:
    assert runs_in([text]) == runs


def test_prose_names_metrics() -> None:
    assert metrics_in_prose("Top1 error rate on CIFAR") == {"error"}
    assert metrics_in_prose("Comparison of top-1 accuracies") == {"accuracy"}
    assert metrics_in_prose("Top1/Top5 error") == {"error", "top-5 error"}
    assert "other" in metrics_in_prose("rank1/mAP")
