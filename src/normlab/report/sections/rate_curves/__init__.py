"""The section “rate_curves” of the page."""
