"""Residual networks whose normalization is a parameter."""
