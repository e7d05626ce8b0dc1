"""Controlled studies: a plan becomes runs, block by block; what is missing is what is left to do."""
