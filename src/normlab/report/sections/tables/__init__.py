"""The section “tables” of the page."""
