from __future__ import annotations

import pytest

from normlab.errors import UnknownNameError, UsageError
from normlab.study.executors import inline
from normlab.study.executors.registry import all_executors, find_executor


def test_every_module_of_the_folder_with_an_executor_is_in_the_table():
    assert {"inline", "processes"} <= {info.name for info in all_executors()}
    assert find_executor("inline") == (inline.EXECUTOR, "")


def test_an_unknown_executor_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="processes"):
        find_executor("process")


def test_options_for_an_executor_that_takes_none_are_refused():
    with pytest.raises(UsageError, match="takes no options"):
        find_executor("inline:4")
