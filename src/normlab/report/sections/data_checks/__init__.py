"""The section “data_checks” of the page."""
