"""The checks of validity, one file a code (method.md, "Checks of validity")."""
