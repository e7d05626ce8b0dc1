"""One run from its spec to its outcome, in one folder, continued wherever it was cut off."""

from __future__ import annotations

import math
import os
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress

import torch
from torch import Tensor, nn

from normlab.errors import (
    DivergedError,
    InterruptedRunError,
    LeaseLostError,
    StorageError,
    UsageError,
)
from normlab.memory import is_out_of_memory, with_remedy
from normlab.networks.view import NetworkView
from normlab.norms.training.precise_statistics import precise_statistics
from normlab.records.environment import describe_environment
from normlab.records.run import EpochRow, Measures, NormSite, Outcome, RunSpec
from normlab.records.store import Predictions, RunFolder
from normlab.train.checkpoint import Weights, copy_weights, save_weights
from normlab.train.early_stopping import best_epoch, patience_is_over
from normlab.train.fit import Part, RunData, evaluate, fit
from normlab.train.interrupt import OnBatch, ignore_batch
from normlab.train.layer_diagnostics import LayerDiagnostics
from normlab.train.network import build_network, keeps_running, view_of
from normlab.train.ranks import Ranks
from normlab.train.state import TrainingState
from normlab.train.step import forward
from normlab.train.step_mode import DEFAULT_STEPS, StepMode

CHECKPOINT_SECONDS = float(os.environ.get("NORMLAB_CHECKPOINT_SECONDS", "300"))
"""Seconds between two checkpoints inside of an epoch, which cost a kill no more than these."""


def execute(
    spec: RunSpec,
    data: RunData,
    folder: RunFolder,
    *,
    device: torch.device | str = "cpu",
    on_batch: OnBatch = ignore_batch,
    evaluate_test: bool = True,
    steps: StepMode = DEFAULT_STEPS,
    ranks: Ranks | None = None,
) -> Iterator[EpochRow]:
    """Train the run to its end, yielding the rows of newly finished epochs.

    A run that is final already, or that another process has in hand, is left as it is.

    Without `evaluate_test` (the run serves tuning) it is measured on the validation part alone: the
    test part is never read, and the weights are not kept.

    With `ranks` this process is the first of several that train the run together, and the only one
    that stores; the others `follow`.

    Every way to end becomes an outcome in the folder: finished, stopped early, diverged, out of
    memory, failed, interrupted. Only a disk that cannot be written is raised.
    """
    with folder.leased() as is_ours:
        before = folder.read_outcome()
        goes_on = is_ours and not (before is not None and before.is_final)
        if ranks is not None:
            ranks.agree(goes_on)
        if not goes_on:
            return
        with suppress(LeaseLostError):  # whoever has taken the run over goes on with it
            yield from _to_the_end(
                spec, data, folder, device, on_batch, evaluate_test, steps, ranks
            )
    if torch.cuda.is_available():  # for the runs of other processes; an error kept it until here
        torch.cuda.empty_cache()


def _to_the_end(
    spec: RunSpec,
    data: RunData,
    folder: RunFolder,
    device: torch.device | str,
    on_batch: OnBatch,
    evaluate_test: bool,
    steps: StepMode,
    ranks: Ranks | None,
) -> Iterator[EpochRow]:
    """Train, and turn every way to end into an outcome."""
    folder.create(
        spec,
        describe_environment(
            _device_name(device),
            torch.get_num_threads(),
            deterministic=torch.are_deterministic_algorithms_enabled(),
            compiled=steps.compiled,
        ),
    )
    sites = None
    try:
        if ranks is None:
            on_batch(0)  # whoever asked to stop before the first batch need not wait for it
        network = build_network(spec, device)
        view = view_of(network, spec)
        sites = tuple(site.facts for site in view.norm_sites)
        yield from _train(spec, data, folder, network, view, on_batch, evaluate_test, steps, ranks)
    except DivergedError as error:
        epochs = error.epoch - 1
        outcome = Outcome(status="diverged", epochs=epochs, norm_sites=sites, error=str(error))
        _end(folder, outcome)
    except InterruptedRunError as error:
        _end(folder, Outcome(status="interrupted", epochs=_done(folder), error=str(error)))
    except StorageError:
        raise
    except Exception as error:
        folder.log(traceback.format_exc())
        if is_out_of_memory(error):
            ended = Outcome(status="out_of_memory", epochs=_done(folder), error=with_remedy(error))
        else:
            message = f"{type(error).__name__}: {error}"
            ended = Outcome(status="failed", epochs=_done(folder), error=message)
        _end(folder, ended)


def _train(
    spec: RunSpec,
    data: RunData,
    folder: RunFolder,
    network: nn.Module,
    view: NetworkView,
    on_batch: OnBatch,
    evaluate_test: bool,
    steps: StepMode,
    ranks: Ranks | None,
) -> Iterator[EpochRow]:
    state = TrainingState(spec, data, folder, network, view)
    rows = list(folder.keep_rows(state.epoch, state.resumed.rows))
    diagnostics = LayerDiagnostics(view, len(data.labels("validation"))) if evaluate_test else None
    if not patience_is_over(rows, spec.patience):
        for row in fit(
            network,
            state.optimizer,
            state.schedule,
            data,
            spec,
            first_epoch=state.epoch + 1,
            on_batch=_storing(state, on_batch if ranks is None else ranks.on_batch),
            steps=steps,
            observing=diagnostics.observing if diagnostics is not None else nullcontext,
            still=state.tuning.still,
            averaged=state.averaged,
            so_far=state.so_far,
            gradients=None if ranks is None else ranks.join(network, spec),
        ):
            rows.append(row)
            state.epoch = row.epoch
            if spec.patience is not None and best_epoch(rows) == row.epoch:
                with state.as_evaluated():
                    state.best_weights = copy_weights(network)
            # The rows first: a checkpoint without them could not be continued.
            if diagnostics is not None:
                folder.append_layer_diagnostics(diagnostics.row(row.epoch))
            folder.append_row(row)
            state.save()
            yield row
            if patience_is_over(rows, spec.patience):
                break
    if ranks is not None:
        ranks.leave(network)
    if state.averaged is not None:
        state.averaged.give(network)
    sites = tuple(site.facts for site in view.norm_sites)
    _report(spec, data, folder, network, sites, rows, state.best_weights, on_batch, evaluate_test)


def _storing(state: TrainingState, on_batch: OnBatch) -> OnBatch:
    """`on_batch`, and a checkpoint whenever it is due, or somebody stops the run there.

    Nothing is computed otherwise for it, so that its time decides no number. Where the state cannot
    be stored, as between batches whose gradients are added up, the run stops a little later.
    """
    stored = time.monotonic()
    asked: InterruptedRunError | None = None

    def after_batch(images: int) -> None:
        nonlocal stored, asked
        try:
            on_batch(images)
        except InterruptedRunError as error:
            asked = asked or error
        due = time.monotonic() - stored >= CHECKPOINT_SECONDS
        if state.can_be_stored and (due or asked is not None):
            state.save()
            stored = time.monotonic()
            if asked is not None:
                raise asked

    return after_batch


def _report(
    spec: RunSpec,
    data: RunData,
    folder: RunFolder,
    network: nn.Module,
    sites: tuple[NormSite, ...],
    rows: Sequence[EpochRow],
    best_weights: Weights | None,
    on_batch: OnBatch,
    evaluate_test: bool,
) -> None:
    """Evaluate the reported epoch's weights on all parts, once, and seal the run."""
    reported = rows[-1].epoch
    if best_weights is not None:
        network.load_state_dict(best_weights)
        reported = best_epoch(rows)
    if spec.precise_statistics:
        precise_statistics(
            network,
            data.train_batches(reported),
            forward=lambda model, batch: forward(model, batch[0], spec),
        )

    def measured(part: Part) -> tuple[Measures, Tensor]:
        return evaluate(network, data.plain_batches(part), spec, on_batch=on_batch)

    validation, _ = measured("validation")
    if not math.isfinite(validation.loss):  # the last steps of training had no later one to show it
        raise DivergedError(reported, "validation")
    train = test = by_batches = None
    if evaluate_test and keeps_running(network):
        by_batches = _measure_by_batches(network, data, spec, on_batch)
    if evaluate_test:
        train, _ = measured("train")
        test, probabilities = measured("test")
        if not math.isfinite(test.loss):
            raise DivergedError(reported, "test")
        save_weights(folder.weights_path, network, spec, data.mean, data.std, folder.check_lease)
        folder.write_predictions(
            Predictions(
                ids=data.names("test"),
                labels=data.labels("test"),
                probabilities=probabilities.float().cpu().numpy(),
                groups=data.groups("test"),
            )
        )
    stopped_early = rows[-1].epoch < spec.epochs
    outcome = Outcome(
        status="stopped_early" if stopped_early else "finished",
        epochs=rows[-1].epoch,
        reported_epoch=reported,
        train=train,
        validation=validation,
        test=test,
        validation_by_batches=by_batches,
        parameters=sum(p.numel() for p in network.parameters()),
        norm_sites=sites,
        seconds=sum(row.seconds for row in rows),
    )
    _end(folder, outcome)


def _measure_by_batches(
    network: nn.Module, data: RunData, spec: RunSpec, on_batch: OnBatch
) -> Measures | None:
    """With the statistics of the batches; None where the last has too few values for any."""
    weights = copy_weights(network)
    try:
        batches = data.plain_batches("validation")
        return evaluate(network, batches, spec, batch_statistics=True, on_batch=on_batch)[0]
    except UsageError:
        return None
    finally:
        network.load_state_dict(weights)


def _end(folder: RunFolder, outcome: Outcome) -> None:
    folder.write_outcome(outcome)
    folder.log(f"{outcome.status} after {outcome.epochs} epochs {outcome.error or ''}")
    if outcome.is_final:
        folder.discard_checkpoint()


def _done(folder: RunFolder) -> int:
    rows = folder.read_rows()
    return rows[-1].epoch if rows else 0


def _device_name(device: torch.device | str) -> str:
    """The kind of device, and of a GPU its name."""
    place = torch.device(device)
    return place.type if place.type != "cuda" else f"cuda, {torch.cuda.get_device_name(place)}"
