"""From a plan to its runs: order, union of factorials, and arms that differ in nothing else."""

from __future__ import annotations

import itertools

import pytest

from normlab.canonical import content_hash
from normlab.errors import PlanError, UnknownNameError, UsageError
from normlab.records.cells import Cell, cells
from normlab.study.check import check_folder, check_plan
from normlab.study.design.freeze import freeze, with_methods
from normlab.study.design.runs import plan_runs


def runs_of(plan):
    return plan_runs(freeze(plan, "fingerprint", ("a", "b")))


def test_runs_go_block_by_block(make_plan) -> None:
    runs = runs_of(make_plan(blocks=3, factors={"norm": ["bn", "in", "gn"]}))
    found = [(run.block, run.arm) for run in runs]
    assert found == list(itertools.product(range(3), ("bn", "in", "gn")))


def test_the_norm_varies_fastest(make_plan) -> None:
    factors = {
        "norm": ["bn", "gn"],
        "optimizer": ["sgd", "adam"],
        "learning_rate": [0.1, 0.01],
        "batch_size": [8, 16],
    }
    found = cells(make_plan(factors=factors))
    assert len(found) == 2**4
    assert found[:4] == [
        Cell("sgd", 0.1, 8, "bn"),
        Cell("sgd", 0.1, 8, "gn"),
        Cell("sgd", 0.1, 16, "bn"),
        Cell("sgd", 0.1, 16, "gn"),
    ]


def test_a_cell_that_two_factorials_share_is_run_once(make_plan) -> None:
    tables = [
        {"norm": ["bn", "gn", "ln"], "batch_size": [32]},
        {"norm": ["bn", "gn"], "batch_size": [8, 32]},
    ]
    found = [(cell.batch_size, cell.norm) for cell in cells(make_plan(factors=tables))]
    assert found == [(32, "bn"), (32, "gn"), (32, "ln"), (8, "bn"), (8, "gn")]


def test_ids_are_unique_and_repeat(make_plan) -> None:
    plan = make_plan(blocks=4, factors={"norm": ["bn", "gn"], "batch_size": [4, 8]})
    ids = [run.id for run in runs_of(plan)]
    assert len(set(ids)) == len(ids) == 16
    assert [run.id for run in runs_of(plan)] == ids


def with_weights(make_plan, **options):
    network = {"name": "timm/resnet18", "options": {"weights": "w.safetensors", **options}}
    return make_plan(training={"network": network})


def absorbs(plan) -> object:
    return plan.training.network.options.get("absorb_statistics")


def test_new_studies_of_pretrained_networks_absorb_the_running_statistics(make_plan) -> None:
    plan = with_methods(with_weights(make_plan), None)
    assert absorbs(plan) is True
    assert absorbs(with_methods(with_weights(make_plan), plan)) is True
    before = with_weights(make_plan)  # begun when there was no such option
    assert absorbs(with_methods(with_weights(make_plan), before)) is None
    stated = with_weights(make_plan, absorb_statistics=False)
    assert absorbs(with_methods(stated, None)) is False
    assert stated.hash == before.hash
    untrained = make_plan(training={"network": "timm/resnet18"})
    assert absorbs(with_methods(untrained, None)) is None


def test_networks_that_vary_absorb_them_too(make_plan) -> None:
    levels = ["timm/resnet18:weights=w.safetensors", "cifar-resnet8"]
    plan = with_methods(make_plan(factors={"training": {"network": levels}}), None)
    first, second = plan.factors[0].training["network"]
    assert first["options"] == {"weights": "w.safetensors", "absorb_statistics": True}
    assert second == "cifar-resnet8"


def test_more_blocks_leave_the_first_ones_as_they_are(make_plan) -> None:
    few, many = runs_of(make_plan(blocks=2)), runs_of(make_plan(blocks=5))
    assert many[: len(few)] == few


def differing_fields(first, second) -> set[str]:
    one, other = first.model_dump(), second.model_dump()
    return {key for key in one if one[key] != other[key]}


@pytest.mark.parametrize("norms", [["bn", "in", "bin", "ln", "gn", "none", "torch-bn"]])
def test_arms_of_a_block_differ_in_the_norm_alone(make_plan, norms) -> None:
    for first, second in itertools.combinations(runs_of(make_plan(factors={"norm": norms})), 2):
        assert differing_fields(first, second) == {"arm", "norm"}


def test_cells_of_a_block_differ_in_their_factor_alone(make_plan) -> None:
    """The comparing helper itself sees a difference in any other field."""
    by_optimizer = runs_of(make_plan(factors={"norm": ["bn"], "optimizer": ["sgd", "adam"]}))
    assert differing_fields(*by_optimizer) == {"optimizer"}
    before, after = (run.optimizer.model_dump() for run in by_optimizer)
    assert {key for key in before if before[key] != after[key]} == {"name"}
    by_batch = runs_of(make_plan(factors={"norm": ["bn"], "batch_size": [4, 8]}))
    assert differing_fields(*by_batch) == {"batch_size"}


def test_blocks_differ_in_their_number_alone(make_plan) -> None:
    first, second = runs_of(make_plan(blocks=2, factors={"norm": ["bn"]}))
    assert differing_fields(first, second) == {"block"}


def test_norms_are_written_in_their_canonical_form(make_plan) -> None:
    """Else the arms of the runs would not be those that the analysis looks for."""
    factors = {"norm": ["gn:groups=8", "bn:eps=1e-5,momentum=0.1", "gn:groups=4"]}
    plan = make_plan(factors=factors, analysis={"reference": "gn:groups=8"})
    frozen = freeze(plan, "fingerprint", ("a", "b"))
    assert frozen.factors[0].norm == ("gn", "bn", "gn:groups=4")
    assert frozen.analysis.reference == "gn"
    assert [run.arm for run in plan_runs(frozen)] == ["gn", "bn", "gn:groups=4"]
    plain = make_plan(factors={"norm": ["gn", "bn", "gn:groups=4"]}, analysis={"reference": "gn"})
    assert frozen.hash == plain.hash == frozen.frozen.hash


def test_two_spellings_of_a_norm_are_one_arm(make_plan) -> None:
    frozen = freeze(make_plan(factors={"norm": ["bn", "gn", "gn:groups=8"]}), "f", ("a", "b"))
    assert frozen.factors[0].norm == ("bn", "gn")


def test_the_reference_is_one_of_the_arms(make_plan) -> None:
    with pytest.raises(PlanError, match="'bn' is not among the arms in, gn; add it"):
        freeze(make_plan(factors={"norm": ["in", "gn"]}), "fingerprint", ("a", "b"))


def test_unknown_norm(make_plan) -> None:
    with pytest.raises(UnknownNameError, match="unknown norm 'gnn'; did you mean 'gn'"):
        freeze(make_plan(factors={"norm": ["bn", "gnn"]}), "fingerprint", ("a", "b"))


def test_a_plan_without_data_has_no_runs(make_plan) -> None:
    with pytest.raises(PlanError, match="not bound to data"):
        plan_runs(make_plan())


def test_freezing_binds_the_plan_to_its_data(make_plan) -> None:
    plan = make_plan()
    frozen = freeze(plan, "abc", ("cat", "dog"))
    assert frozen.frozen.fingerprint == "abc"
    assert frozen.frozen.classes == ("cat", "dog")
    assert frozen.frozen.hash == plan.hash
    assert plan.frozen is None
    assert plan_runs(frozen)[0].data.fingerprint == "abc"


def test_a_thousand_runs(make_plan) -> None:
    factors = {
        "norm": ["bn", "in", "ln", "gn", "none"],
        "optimizer": ["sgd", "adam"],
        "learning_rate": [0.1, 0.01],
        "batch_size": [8, 16, 32, 64, 128],
    }
    runs = runs_of(make_plan(blocks=10, factors=factors))
    assert len(runs) == len({run.id for run in runs}) == 1000
    assert len({content_hash(run.model_dump(mode="json")) for run in runs}) == 1000


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"factors": {"optimizer": ["sdg"]}}, "unknown optimizer 'sdg'; did you mean 'sgd'"),
        ({"training": {"schedule": "onecycel"}}, "unknown schedule 'onecycel'; did you mean 'one"),
        ({"training": {"augmentation": "ligth"}}, "unknown augmentation 'ligth'; did you mean 'l"),
        ({"training": {"network": {"name": "resnet15"}}}, "unknown network 'resnet15'; did you"),
        ({"factors": {"learning_rate": [-1.0]}}, "learning_rate.0 = -1.0: input should be greater"),
        ({"factors": {"batch_size": [0]}}, "batch_size.0 = 0: input should be greater"),
        ({"factors": {"norm": ["bn", "gn:groups=7"]}}, "divisors|divide"),
    ],
)
def test_a_plan_is_checked_before_any_image_is_read(make_plan, table, sentence) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        check_plan(make_plan(**table))
    assert "\n" not in str(caught.value)


def test_a_study_does_not_begin_among_its_images(pictures, tmp_path) -> None:
    """The figures of its report would be images of a new class."""
    with pytest.raises(PlanError, match="inside of the images"):
        check_folder(pictures / "study", str(pictures))
    check_folder(tmp_path / "study", str(pictures))


def test_a_study_that_starts_now_augments_in_one_pass(make_plan) -> None:
    def planned(augmentation: str, begun=None, **training):
        plan = make_plan(training={"augmentation": augmentation, **training})
        return with_methods(plan, begun)

    assert planned("standard").training.augmentation_method == 2
    assert planned("light").training.augmentation_method is None
    assert planned("standard", augmentation_method=1).training.augmentation_method == 1
    old = make_plan(training={"augmentation": "standard"})
    assert planned("standard", old).training.augmentation_method is None
    assert old.hash != planned("standard").hash

    levels = {"augmentation": ["light", "standard"]}
    varied = make_plan(factors={"norm": ["bn"], "training": levels})
    runs = runs_of(with_methods(varied, None))
    methods = {run.augmentation: run.augmentation_method for run in runs}
    assert methods == {"light": None, "standard": 2}
