"""What a study says so far, and its networks, for Python and notebooks."""
