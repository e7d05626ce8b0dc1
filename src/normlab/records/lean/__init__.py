"""Records in little memory: a study of 100,000 runs is held whole while it is judged."""
