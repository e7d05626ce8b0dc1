"""The page: one self-contained file, and the same figures and tables for a paper."""
