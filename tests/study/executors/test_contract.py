"""The executors that come with normlab hold the contract."""

from __future__ import annotations

import pytest

from normlab.study.executors.base import Executor, ExecutorRequest
from normlab.study.executors.inline import InlineExecutor
from normlab.study.executors.processes import ProcessesExecutor
from normlab.testing import ExecutorContract


class TestInline(ExecutorContract):
    jobs = 1

    def make(self, request: ExecutorRequest) -> Executor:
        return InlineExecutor(request.dataset, request.on_batch)


@pytest.mark.slow
class TestProcesses(ExecutorContract):
    def make(self, request: ExecutorRequest) -> Executor:
        return ProcessesExecutor(request, request.jobs or 1)
