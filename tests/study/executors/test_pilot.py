"""How many runs share a place, from what was measured."""

from __future__ import annotations

import pytest

from normlab.study.executors.pilot import Measured, as_words, best_share
from normlab.study.executors.ray_pilot import Share, _kind, _share

GPU = {"CPU": 16.0, "GPU": 1.0, "accelerator_type:H200": 1.0}


def test_runs_share_a_gpu_as_long_as_together_they_do_more():
    assert best_share([Measured(1, 1, ((1, 100.0), (2, 190.0), (4, 200.0)))]) == 0.25
    assert best_share([Measured(1, 1, ((1, 100.0), (2, 98.0)))]) == 1


def test_of_equal_shares_the_largest_is_taken():
    assert best_share([Measured(8, 1, ((1, 100.0), (2, 100.0)))]) == 8


def test_runs_that_do_not_fit_into_memory_count_as_nothing():
    crowded = Measured(1, 10, ((1, 100.0), (2, 0.0)))
    roomy = Measured(1, 1, ((1, 100.0), (2, 180.0), (4, 300.0)))
    assert crowded.speed(0.25) == 0
    assert best_share([crowded, roomy]) == 1


def test_a_place_too_small_for_the_share_does_nothing():
    assert Measured(2, 1, ((1, 100.0),)).speed(4) == 0


@pytest.mark.parametrize(
    ("room", "share", "speed"), [(8, 8, 10), (8, 3, 18), (8, 1, 30), (8, 0.5, 30)]
)
def test_between_two_measured_numbers_the_lower_counts(room, share, speed):
    kind = Measured(room, 1, ((1, 10.0), (2, 18.0), (4, 30.0)))
    assert kind.speed(share) == speed
    assert as_words(kind) == "1 at once 10, 2 at once 18, 4 at once 30 images a second"


def test_a_run_on_a_gpu_gets_its_part_of_the_cpus():
    nodes = [{"Resources": GPU}]
    eight = Measured(1, 1, ((1, 1.0), (2, 2.0), (4, 4.0), (8, 8.0)))
    assert _share("GPU", [eight], nodes) == Share(2, 0.125)
    assert _share("GPU", [Measured(1, 1, ((1, 1.0),))], nodes) == Share(4, 1)
    few = [{"Resources": {"CPU": 2.0, "GPU": 1.0}}]
    assert _share("GPU", [eight], few).places(few[0]["Resources"]) == 8


def test_nothing_measured_is_a_gpu_or_a_cpu_a_run():
    assert _share("GPU", [], [{"Resources": GPU}]) == Share(4, 1)
    assert _share("CPU", [], [{"Resources": {"CPU": 8.0}}]) == Share(1)


def test_nodes_are_alike_with_the_same_counts_of_the_same_make():
    other = {**GPU, "memory": 5.0, "node:10.0.0.2": 1.0}
    assert _kind(GPU) == _kind(other)
    assert _kind(GPU) != _kind({"CPU": 16.0, "GPU": 1.0, "accelerator_type:T4": 1.0})
