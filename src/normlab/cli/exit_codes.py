"""What the command tells a script by its exit code."""

from __future__ import annotations

SOME_RUN_FAILED = 1
"""Done, but some run failed; and what a verb that judges found is wrong."""
UNUSABLE = 2
"""The input cannot be used; a sentence on stderr says why."""
NOT_FINISHED = 3
"""Stopped in order, by Ctrl-C or by the end of a budget: what was finished is stored, and the same
command goes on."""
INTERRUPTED = 130
"""Ended at once: by a second Ctrl-C, or before there was anything to store."""
