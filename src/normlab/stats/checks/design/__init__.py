"""Checks of the design: blocks, pairing, environments, runs that are missing."""
