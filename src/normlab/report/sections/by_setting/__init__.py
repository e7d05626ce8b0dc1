"""The section “by_setting” of the page."""
