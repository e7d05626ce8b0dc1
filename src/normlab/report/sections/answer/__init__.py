"""The section “answer” of the page."""
