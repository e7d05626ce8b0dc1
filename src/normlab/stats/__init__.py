"""From run records to verdicts: pairing, intervals, tests, curves and validity checks. No torch."""
