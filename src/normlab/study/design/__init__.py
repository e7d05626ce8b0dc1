"""From a plan to its runs: what is fixed before the first one, and what follows from it."""
