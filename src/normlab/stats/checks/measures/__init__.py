"""Checks of the numbers that runs measured."""
