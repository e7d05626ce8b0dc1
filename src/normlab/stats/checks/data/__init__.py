"""Checks of a study that read what was found in its data."""
