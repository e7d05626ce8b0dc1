"""The section “curves” of the page."""
