"""Where the time of a training step goes, by kind of operation, with the machine's limits beside.

    python benchmarks/step_profile.py                    none and bn, resnet14, batch 32 of 64 px
    python benchmarks/step_profile.py --only none bn rms --threads 1 --rounds 20

The limits are measured in the same process: how fast a tensor larger than all caches is copied
(bytes read and written), and how many operations a second a product of matrices reaches. Beside the
milliseconds stand page faults and waits of a step, and what a step must at least do: the products
of its convolutions, and for a norm with ReLU two reads and one write of its map forward (one of the
statistics, one of the result) and four reads and one write backward, as if no cache held a map.
"""

from __future__ import annotations

import argparse
import re
import resource
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from normlab.norms.base import Normalization
from normlab.norms.fused.cpu.memory import keep_freed_memory
from timing import machine, markdown_table
from train_step import network, training_step

KINDS: dict[str, str] = {
    "convolutions, backward": r"convolution_backward|ConvolutionBackward",
    "convolutions, forward": r"conv2d|convolution",
    "norm, ReLU, addition: backward": r"normlab.*backward|threshold_backward"
    r"|(Norm|Affine|Activat\w*|Relu|Add)Backward",
    "norm, ReLU, addition: forward": r"normlab|_FusedNorm|_PlaneNorm|Curved"
    r"|aten::(relu|clamp|add)_?$",
    "optimizer": r"Optimizer|_foreach|_fused_sgd|AccumulateGrad|aten::detach",
    "loss": r"(?i)log_?softmax|nll_?loss|cross_entropy",
    "head": r"linear|addmm|aten::mm|mean|Mean|AddmmBackward|aten::(t|transpose|expand|div|sum)$",
    "copies and layout": r"copy_|clone|contiguous|aten::_?to|as_strided|reshape|view|permute|slice",
    "memory": r"empty|zero|fill_|resize_|new_",
}
"""Kinds of operation by what their names have in them; the first that fits counts."""
OTHER = "autograd and the rest"
FORWARD_PASSES, BACKWARD_PASSES = 3, 5
"""How often a norm with ReLU must touch its map, as if no cache held it."""


def kind_of(name: str) -> str:
    """The kind of an operator, by its name."""
    return next((kind for kind, parts in KINDS.items() if re.search(parts, name)), OTHER)


def self_milliseconds(step: Callable[[], object], rounds: int, names: bool) -> dict[str, float]:
    """Milliseconds of a step by kind, the calling thread's own time, a mean over the rounds."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(rounds):
            step()
    spent: dict[str, float] = defaultdict(float)
    for event in found.key_averages():
        took = event.self_cpu_time_total / 1e3 / rounds
        spent[kind_of(event.key)] += took
        if names and took > 0.02:
            print(f"{took:8.2f} ms  {kind_of(event.key)}: {event.key}")
    return spent


def waits(step: Callable[[], object], rounds: int) -> tuple[float, float, float, float]:
    """Medians of a step: milliseconds, seconds of processor over seconds, page faults, waits."""
    times, shares, faults, switches = [], [], [], []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_SELF)
        start, used = time.perf_counter(), time.process_time()
        step()
        took = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_SELF)
        times.append(took * 1e3)
        shares.append((time.process_time() - used) / took)
        faults.append(after.ru_minflt - before.ru_minflt)
        switches.append(after.ru_nvcsw - before.ru_nvcsw)
    return median(times), median(shares), median(faults), median(switches)


def copy_rate(mebibytes: int = 256) -> float:
    """GB a second, read and written, of copies that no cache holds."""
    source = torch.ones(mebibytes * 2**18)
    target = torch.empty_like(source)
    target.copy_(source)
    return max(2 * source.nbytes / _seconds(lambda: target.copy_(source)) for _ in range(9)) / 1e9


def product_rate(side: int = 1536) -> float:
    """GFLOP a second of a product of two square matrices in float32."""
    a, b = torch.randn(side, side), torch.randn(side, side)
    out = a @ b
    return max(2 * side**3 / _seconds(lambda: torch.mm(a, b, out=out)) for _ in range(9)) / 1e9


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def least_work(model: nn.Module, images: Tensor) -> tuple[float, float]:
    """GFLOP of a step's products, and GB that its norms' maps have."""
    maps = [0]

    def note(_: nn.Module, __: object, out: Tensor) -> None:
        maps[0] += out.nbytes

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, Normalization)]
    with FlopCounterMode(display=False) as counted:
        model(images).sum().backward()
    for hook in hooks:
        hook.remove()
    return counted.get_total_flops() / 1e9, maps[0] / 1e9


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2, help="blocks a stage (default 2: resnet14)")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15, help="steps of each norm")
    parser.add_argument("--threads", type=int, help="default: torch's")
    parser.add_argument("--only", nargs="*", default=["none", "bn"])
    parser.add_argument("--names", action="store_true", help="also: operations by name")
    return parser.parse_args()


def main() -> None:
    """Measure and print the tables."""
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    keep_freed_memory()  # as training does
    print(f"{machine().sentence()}\n")
    copy, product = copy_rate(), product_rate()
    print(f"limits: {copy:.1f} GB/s copied (read and written), {product:.0f} GFLOP/s multiplied\n")
    images = torch.randn(options.batch, 3, options.size, options.size)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(25, (options.batch,))
    columns: dict[str, dict[str, str]] = {}
    for name in options.only:
        model = network(name, options.n, 25).to(memory_format=torch.channels_last)
        flops, maps = least_work(model, images)
        step = training_step(model, images, labels)
        for _ in range(3):
            step()
        took, share, faults, switches = waits(step, options.rounds)
        spent = self_milliseconds(step, options.rounds, options.names)
        column = {kind: f"{spent.get(kind, 0.0):.1f}" for kind in (*KINDS, OTHER)}
        column["a step, profiled"] = f"{sum(spent.values()):.1f}"
        column["a step, not profiled"] = f"{took:.1f}"
        column["processors busy"] = f"{share:.2f}"
        column["page faults"] = f"{faults:.0f}"
        column["waits of a thread"] = f"{switches:.0f}"
        column["least: convolutions and head"] = f"{flops / product * 1e3:.1f}"
        least = maps * (FORWARD_PASSES + BACKWARD_PASSES) / copy * 1e3
        column["least: norms, all from memory"] = f"{least:.1f}"
        columns[name] = column
    rows = [(key, *(column[key] for column in columns.values())) for key in columns[name]]
    print(markdown_table(("ms a step", *columns), rows))


if __name__ == "__main__":
    main()
