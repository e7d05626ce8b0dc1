"""A study's networks over HTTP, on this machine: a page, an interface for programs, limits."""
