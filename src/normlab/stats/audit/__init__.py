"""Published tables held against arithmetic."""
