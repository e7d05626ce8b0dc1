"""What watching a network costs: the seconds that an epoch's layers row adds to its training.

    python benchmarks/recording.py                          demo:digits, 16 px
    python benchmarks/recording.py birds.zip --image-size 64 --rounds 5

Taken in turns: one epoch of training, the pass over the validation part as it is, and the same pass
with the watch and the row. The cost is the difference of the last two over the first.
"""

from __future__ import annotations

import argparse

from normlab.data.dataset import load_data
from normlab.data.duplicates.near_duplicates import with_duplicates
from normlab.data.load import block_data
from normlab.records.run import DataSpec, RunSpec
from normlab.train.fit import evaluate, train_epoch
from normlab.train.layer_diagnostics import LayerDiagnostics
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule
from timing import machine, markdown_table, take_turns


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default="demo:digits")
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--norms", default="none,bn,in,gn,bin")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()

    print(machine().sentence())
    dataset = with_duplicates(load_data(options.source, options.image_size))
    manifest = dataset.manifest
    rows = []
    for norm in options.norms.split(","):
        spec = RunSpec(
            arm=norm,
            block=0,
            norm=norm,
            data=DataSpec(
                fingerprint=manifest.fingerprint,
                classes=manifest.classes,
                image_size=options.image_size,
                groups=manifest.groups_hash,
            ),
            batch_size=options.batch_size,
            epochs=1000,
        )
        rows.append(row(spec, block_data(dataset, spec), options.rounds))
    head = ("norm", "epoch of training (s)", "validation pass (s)", "watched (s)", "cost")
    print(markdown_table(head, rows))


def row(spec: RunSpec, data, rounds: int) -> tuple[str, ...]:  # type: ignore[no-untyped-def]
    """Time one arm."""
    network = build_network(spec)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(
        optimizer, spec.schedule, epochs=spec.epochs, steps_per_epoch=data.steps_per_epoch
    )
    watch = LayerDiagnostics(network, len(data.labels("validation")))

    def validation() -> None:
        evaluate(network, data.plain_batches("validation"), spec)

    def watched() -> None:
        with watch.watching():
            validation()
        watch.row(1)

    found = take_turns(
        {
            "train": lambda: train_epoch(network, optimizer, schedule, data.train_batches(1), spec),
            "plain": validation,
            "watched": watched,
        },
        rounds,
        warm_up=1,
    )
    shares = sorted(
        (w - p) / t
        for t, p, w in zip(*(found[k].seconds for k in ("train", "plain", "watched")), strict=True)
    )
    seconds = (f"{found[key].median:.3f}" for key in ("train", "plain", "watched"))
    return spec.norm, *seconds, f"{100 * shares[len(shares) // 2]:.1f} %"


if __name__ == "__main__":
    main()
