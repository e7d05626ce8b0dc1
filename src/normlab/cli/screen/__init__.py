"""What a person sees on the terminal while a study begins, runs and ends."""
