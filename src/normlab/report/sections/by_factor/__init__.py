"""The section “by_factor” of the page."""
