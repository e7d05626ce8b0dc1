"""Checks of how arms were tuned, and of what was chosen by what."""
