"""What the words around a figure say of it: its metric, its part, its data, its runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ACCURACY, ERROR = "accuracy", "error"
TOP5, TOP5_ERROR = "top-5 accuracy", "top-5 error"
MICRO_F1, MACRO_F1, LOSS = "micro F1", "macro F1", "loss"
SHARES = (ACCURACY, ERROR, TOP5, TOP5_ERROR, MICRO_F1, MACRO_F1)
METRICS = (LOSS, *SHARES)
OTHER = "other"
"""A metric that no rule knows: mAP, balanced accuracy, precision, a difference of accuracies."""

NO_NETWORK = re.compile(
    r"Δ|\bdelta\b|\bdiff(?:erence)?\b|\bgain\b|\bimprovement\b|\bgap\b|^(?:std|sd|stdev)\b|\bp-value",
    re.IGNORECASE,
)
"""Names of rows that are no network: differences of other rows, spreads, tests."""
MAYBE_DIFFERENCE = re.compile(
    rf"{NO_NETWORK.pattern}|\bv(?:s|ersus)\b|\bover\b|\bminus\b|\bagainst\b|compar|relative|improv"
    r"|\bgains\b|change|increase|decrease|\bdrop|effect|margin|advantage|benefit|\bcost\b|\bbest\b"
    r"|\bw/o?\b|\bwith(?:out)?\b|\bno\b|[-−–+±↑↓→/](?!\w)|(?<!\w)[-−–+±↑↓→/]",
    re.IGNORECASE,
)
"""Names of rows that may be differences if they hold negative numbers, and of ablations."""

_ERROR_WORD = r"\berr(?:ors?)?\b(?:\s*rates?\b)?|\bmisclassif\w*"
_RATE = r"\s*(?:acc(?:uracy|uracies)?\b\.?|err(?:ors?)?\b|scores?\b|rates?\b)*"
_F1 = r"\bf\s?[-_]?\s?1\b(?:[\s-]*(?:scores?|measure))?|\bf[\s-]?(?:score|measure)\b"
_OTHER = re.compile(
    r"balanced|\bbal\b|\bb\.?acc\b|macro[\s-]*(?:avg|average[d]?)?[\s-]*acc|\brank[\s-]?\d|\br@\d|hits?@"
    r"|per[\s-]?class|mean[\s-]class|class(?:es)?[\s-](?:avg|average|mean|acc)|\bm-?acc\b"
    r"|pixel|\bm?ap(?:\d\d)?\b|\bm?iou\b|\bdice\b|precision|recall|sensitivity|specificity|\buar\b"
    r"|\b(?:roc|pr)?[\s-]?auc\b|auroc|kappa|\bmcc\b|\bece\b|calibration|weighted|\bf2\b|bleu|psnr"
    r"|\bfid\b|subset|hamming|exact[\s-]match|adversarial|robust"
    r"|\bmr?ce\b|corruption|top\W?k\b"
    r"|Δ|delta|\bdiff(?:erence)?\b|\bgain\b|improve|\bdrop\b|degradation|\bgap\b|increase|decrease"
    r"|relative|invalid|\bloss(?:es)? of accuracy|standard (?:dev|err)|\bstd\b|\bsd\b|\bstdev\b"
    r"|\bvar(?:iance)?\b|\bci\b|confidence|target|threshold|chance|required"
    r"|\bacc(?:uracy)? (?:@|at)\s",
    re.IGNORECASE,
)
_SPREAD = re.compile(
    r"±|\bstd\b|\bsd\b|\bstdev\b|standard (?:dev|err)|\bsem\b|\bvariance\b|\bci\b", re.I
)
_TOP = re.compile(
    rf"\b(?:top|acc(?:uracy)?|prec|err(?:or)?)\s?[-@_]?\s?(?P<k>\d{{1,2}})\b{_RATE}"
    rf"|@\s?(?P<at>\d{{1,2}})\b{_RATE}",
    re.IGNORECASE,
)
_METRICS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        MICRO_F1,
        re.compile(
            rf"\bmicro\b[\s-]*(?:avg|average[d]?)?[\s-]*(?:{_F1})|(?:{_F1})\W*micro\b", re.I
        ),
    ),
    (
        MACRO_F1,
        re.compile(
            rf"\bmacro\b[\s-]*(?:avg|average[d]?)?[\s-]*(?:{_F1})|(?:{_F1})\W*macro\b", re.I
        ),
    ),
    (OTHER, re.compile(_F1, re.I)),
    (
        LOSS,
        re.compile(
            r"(?:\bcross[\s-]?entropy\s+)?\bloss(?:es)?\b|\bcross[\s-]?entropy\b|\bnll\b", re.I
        ),
    ),
    (ERROR, re.compile(_ERROR_WORD, re.I)),
    (ACCURACY, re.compile(r"\bacc(?:uracy|uracies|s)?\b\.?(?:\s*(?:scores?|rates?)\b)?", re.I)),
)
_PARTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "train",
        re.compile(
            r"(?<!pre-)(?<!pre )\btrain(?:ing)?\b"
            r"(?!\s*(?:time|command|log|epoch|size|images|method|scheme|data\b))",
            re.I,
        ),
    ),
    ("validation", re.compile(r"\bval(?:id(?:ation)?)?\b\.?|\bdev\b", re.I)),
    ("test", re.compile(r"\btest(?:ing)?\b(?!-time)|\bheld[\s-]out\b", re.I)),
)
_TRAIN_PROSE = re.compile(
    r"\btrain(?:ing)?[\s-]+(?:set|split|part|results?|tables?|accurac\w*|metrics?|loss|scores?"
    r"|figures|performance)\b|\b(?:on|for|over) (?:the )?train(?:ing)?\b",
    re.I,
)


@dataclass(frozen=True)
class Dataset:
    """A public data set, with the images of its usual parts where everybody uses the same ones."""

    name: str
    pattern: str
    images: int | None = None
    train_images: int | None = None
    balanced: bool = False


DATASETS = (
    Dataset("CIFAR-100", r"cifar[\s_-]?100", 10_000, 50_000, True),
    Dataset("CIFAR-10", r"cifar[\s_-]?10(?!0)", 10_000, 50_000, True),
    Dataset("Fashion-MNIST", r"fashion[\s_-]?mnist", 10_000, 60_000, True),
    Dataset("MNIST", r"(?<!fashion)(?<![a-z])[\s_-]?mnist", 10_000, 60_000),
    Dataset("SVHN", r"\bsvhn\b", 26_032, 73_257),
    Dataset("STL-10", r"\bstl[\s_-]?10\b", 8_000, 5_000, True),
    Dataset("Tiny ImageNet", r"tiny[\s_-]?imagenet", 10_000, 100_000, True),
    Dataset(
        "ImageNet variant", r"imagenet[\s_-]?(?:v2\w*|a|r|c|o|real|sketch|100|21k|22k|subset)\b"
    ),
    Dataset(
        "ImageNet",
        r"(?<!tiny)(?<!tiny[\s_-])imagenet(?![\s_-]?(?:v2\w*|a|r|c|o|real|sketch|100|21k|22k|subset)\b)"
        r"|\bilsvrc",
        50_000,
        None,
        True,
    ),
    *(
        Dataset(name, pattern)
        for name, pattern in (
            ("Places", r"\bplaces[\s_-]?\d*\b"),
            ("Caltech", r"\bcaltech"),
            ("Flowers", r"\bflowers?[\s_-]?\d*\b"),
            ("Food-101", r"\bfood[\s_-]?101"),
            ("Pets", r"\bpets?\b"),
            ("Cars", r"\bcars\b"),
            ("Aircraft", r"\baircraft"),
            ("CUB", r"\bcub\b"),
            ("iNaturalist", r"\binat"),
            ("COCO", r"\bcoco\b"),
            ("VOC", r"\bvoc\b"),
            ("Market-1501", r"market[\s_-]?1501"),
            ("DukeMTMC", r"dukemtmc"),
            ("Kinetics", r"\bkinetics"),
        )
    ),
)
_DATASETS = tuple((one, re.compile(one.pattern, re.IGNORECASE)) for one in DATASETS)


@dataclass(frozen=True)
class Head:
    """What a head or a label says; `rest` is what it says beside that."""

    metric: str | None
    part: str
    dataset: str
    percent: bool
    averaged: bool
    spread: bool
    rest: str


def read_head(text: str) -> Head:
    """What the words of a head say.

    >>> head = read_head("Top-1 Acc.(%)")
    >>> head.metric, head.percent, head.rest
    ('accuracy', True, '')
    >>> read_head("CIFAR-10 | Test err(this impl.)").rest
    'this impl.'
    >>> read_head("val_top5_err").metric, read_head("balanced accuracy").metric
    ('top-5 error', 'other')
    """
    plain = _words(text)
    metric, metric_text = metric_of(plain)
    names = datasets_in(plain)
    part = part_of(plain)
    rest = plain if metric is not None or part or names else text
    for pattern in [p for one, p in _DATASETS if one.name in names]:
        rest = pattern.sub(" ", rest)
    if metric is not None:
        rest = rest.replace(metric_text, " ", 1)
    for _, pattern in _PARTS if metric is not None or part else ():
        rest = pattern.sub(" ", rest)
    averaged = re.search(r"\bmean\b|\bav(?:g|erage[d]?)\b|\bmedian\b", rest, re.I)
    return Head(
        metric=metric,
        part=part,
        dataset=names[0] if len(names) == 1 else "",
        percent="%" in plain or bool(re.search(r"\bper\s?cent", plain, re.I)),
        averaged=averaged is not None,
        spread=_SPREAD.search(plain) is not None,
        rest=" ".join(rest.split()) if rest == text else _residue(rest, metric is not None),
    )


def _words(text: str) -> str:
    text = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", text.replace("_", " "))
    return re.sub(r"(?<=[a-z])(?=(?:Acc|Loss|Err|F1)\b)", " ", text).strip()


def _residue(text: str, has_metric: bool) -> str:
    if has_metric:
        text = re.sub(
            r"\b(?:acc(?:uracy)?|rates?|scores?|err(?:ors?)?|set|final|the|on|of|in)\b\.?",
            " ",
            text,
            flags=re.I,
        )
    text = re.sub(r"%|[()\[\]|:,↑↓]|\bper\s?cent\b", " ", text)
    text = " ".join(text.split())
    return text if re.search(r"\w", text) else ""


def metric_of(text: str) -> tuple[str | None, str]:
    """The metric that a head names, and the words that name it."""
    if _OTHER.search(text):
        return OTHER, ""
    top = _TOP.search(text)
    if top is not None:
        k = int(top["k"] or top["at"])
        error = re.search(_ERROR_WORD, text, re.I) is not None
        kinds = {1: (ACCURACY, ERROR), 5: (TOP5, TOP5_ERROR)}
        return (kinds[k][error] if k in kinds else OTHER), top[0]
    for metric, pattern in _METRICS:
        match = pattern.search(text)
        if match is not None:
            return metric, match[0]
    return None, ""


def metrics_in_prose(text: str) -> set[str]:
    """All metrics that a sentence names; `top-1 accuracy` is one, `accuracy and loss` two."""
    found: set[str] = set()
    for top in _TOP.finditer(text):
        near = text[top.start() : top.end() + 12]
        found.add(metric_of(near)[0] or OTHER)
    if _OTHER.search(text):
        found.add(OTHER)
    bare = _TOP.sub(" ", text)
    for metric, pattern in _METRICS:
        if pattern.search(bare) and not (found and metric in (ACCURACY, ERROR)):
            found.add(metric)
    return found


def part_of(text: str) -> str:
    """The part that the words name; "" where they name none or several."""
    named = [part for part, pattern in _PARTS if pattern.search(text)]
    return named[0] if len(named) == 1 else ""


def part_of_prose(text: str) -> str:
    """The part that a title names; "trained on CIFAR-10" names none."""
    short = re.sub(r"\btable\s*\d+\W*|[^\w\s-]", " ", text, flags=re.I)
    if re.search(
        r"\btrain\w*\s*(?:and|/|&|,)\s*(?:val|test)|(?:val\w*|test)\s*(?:and|/|&|,)\s*train",
        text,
        re.I,
    ):
        return ""
    named = [part for part, pattern in _PARTS[1:] if pattern.search(text)]
    alone = re.fullmatch(r"\s*(?:training(?:\s+\w+)?|(?:\w+\s+)?train)\s*", short, re.I)
    if _TRAIN_PROSE.search(text) or (alone and not datasets_in(text)):
        named.append("train")
    return named[0] if len(named) == 1 else ""


def datasets_in(text: str) -> list[str]:
    """The public data sets that a text names."""
    if re.search(r"cifar[\s_-]?10\s*(?:/|and|&)\s*(?:cifar[\s_-]?)?100", text, re.I):
        return ["CIFAR-10", "CIFAR-100"]
    return [one.name for one, pattern in _DATASETS if pattern.search(text)]


_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "ten": 10}
_RUNS = re.compile(
    r"\b(?P<n>\d{1,3}|" + "|".join(_COUNTS) + r")\s+(?:\w+\s+){0,2}?"
    r"(?:runs|seeds|trials|repetitions|repeats|initiali[sz]ations|replicat\w+)\b",
    re.IGNORECASE,
)
_ONE_RUN = re.compile(
    r"\b(?:one|1|a single|single)\s+(?:\w+\s+)?(?:run|seed|trial|training)\b|\brun once\b", re.I
)
_SEVERAL = re.compile(
    r"±|\+/-|\bmeans?\b(?!\s*(?:=|iou|ap\b|class|pool))|\baverag\w+\b(?!\s*pool)|\bstd\b"
    r"|standard dev\w*|\bmedian\b|\bseeds\b|\btrials\b|\bfolds?\b|cross[\s-]validat"
    r"|\bensemble|\bindependent runs\b",
    re.IGNORECASE,
)
_SEVERAL_SOMEWHERE = re.compile(
    r"±|\+/-|\\pm\b|\bseeds\b|standard dev\w*|\b(?:means?|averaged?|median) (?:over|across|of)\b",
    re.IGNORECASE,
)


def mentions_runs(text: str) -> bool:
    """Whether a whole document speaks of several runs anywhere."""
    return bool(_RUNS.search(text) or _SEVERAL_SOMEWHERE.search(text))


_OTHER_TASK = re.compile(
    r"multi[\s-]?labels?\b|hamming|subset accuracy|named[\s-]entit\w+|\bner\b|relation extraction"
    r"|segmentation|detection|multi[\s-]?task|tagging|token classification",
    re.IGNORECASE,
)


def other_task_in(text: str) -> str:
    """The words by which a document is (also) about a task with several labels, or ""."""
    match = _OTHER_TASK.search(text)
    return match[0] if match else ""


def slash_heads(text: str) -> list[str]:
    """The heads that a head or title joins by slashes.

    >>> slash_heads("Top1/Top5 error"), slash_heads("Acc (Vanilla/Mix-Up)"), slash_heads("Params")
    (['Top1 error', 'Top5 error'], ['Acc Vanilla', 'Acc Mix-Up'], [])
    """
    match = re.search(
        r"(?P<all>(?:[\w@.-]*\w(?:[ -]?\d\b)?)(?:\s*/\s*[\w@.-]*\w(?:[ -]?\d\b)?)+)", text
    )
    if match is None:
        return []
    before = text[: match.start()].strip(" (")
    after = text[match.end() :].strip(" )")
    return [f"{before} {name.strip()} {after}".strip() for name in match["all"].split("/")]


def runs_in(texts: Iterable[str]) -> int | None:
    """How many runs a figure is the mean of: a number where it is said, 0 where it is not known.

    >>> runs_in(["Mean of five runs."]), runs_in(["Mean ± sd."]), runs_in(["Accuracy."])
    (5, 0, None)
    """
    text = " ".join(texts)
    several = _SEVERAL.search(text) is not None
    counts = {_COUNTS.get(m["n"].lower()) or int(m["n"]) for m in _RUNS.finditer(text)}
    if (
        re.search(r"\bfolds?\b|cross[\s-]validat|\bmedian\b|\bensemble", text, re.I)
        or len(counts) > 1
    ):
        return 0
    if counts:
        return counts.pop() or 0
    if _ONE_RUN.search(text) and not several:
        return 1
    return 0 if several else None
