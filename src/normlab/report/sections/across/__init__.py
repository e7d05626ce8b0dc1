"""The section “across” of the page."""
