"""Checks of a data set before training: copies of photographs, and what follows from them."""
