"""The report that the course asks for: its tables, its groups of curves, galleries, the analysis."""
