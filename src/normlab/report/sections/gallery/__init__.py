"""The section “gallery” of the page."""
