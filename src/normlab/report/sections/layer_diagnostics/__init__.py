"""The section “layer_diagnostics” of the page."""
