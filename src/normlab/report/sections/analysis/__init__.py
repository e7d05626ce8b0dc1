"""The section “analysis” of the page."""
