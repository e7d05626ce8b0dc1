"""The report that the course asks for: tables, groups of curves, galleries, the analysis."""
