"""Other people's networks: recognize, convert, fold and freeze their norms."""
