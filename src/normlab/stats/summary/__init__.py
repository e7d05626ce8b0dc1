"""What is said about a study, worked out once for terminal, page and paper."""
