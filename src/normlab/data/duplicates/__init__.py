"""Which images show the same photograph: candidates, verification, groups."""
