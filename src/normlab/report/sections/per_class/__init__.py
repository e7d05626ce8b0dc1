"""The section “per_class” of the page."""
