"""The section “runs” of the page."""
