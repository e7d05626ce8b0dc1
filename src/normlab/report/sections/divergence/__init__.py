"""The section “divergence” of the page."""
