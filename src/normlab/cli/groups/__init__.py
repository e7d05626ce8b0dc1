"""Groups of options that are too many for one file."""
