"""Controlled studies: a plan becomes runs; what is missing of them is what is left to do."""
