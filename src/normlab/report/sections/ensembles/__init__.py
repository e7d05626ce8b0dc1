"""The section “ensembles” of the page."""
