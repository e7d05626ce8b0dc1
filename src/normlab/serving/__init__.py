"""A trained network at work: predictions for images of any kind."""
