"""The section “methods” of the page."""
