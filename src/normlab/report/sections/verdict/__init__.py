"""The section “verdict” of the page."""
