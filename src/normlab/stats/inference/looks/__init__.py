"""Looking while it runs: boundaries, decisions after every block, and what is added beyond."""
