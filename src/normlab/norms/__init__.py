"""Normalization layers: planes → engine → rules → layers → spec."""
