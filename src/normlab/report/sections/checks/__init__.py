"""The section “checks” of the page."""
