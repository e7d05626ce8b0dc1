"""The section “cost” of the page."""
