"""The section “glossary” of the page."""
