"""Intervals, tests, sequential decisions and verdicts."""
