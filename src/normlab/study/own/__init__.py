"""Studies over a training of the user's own: pairing, looks, verdict and report around it."""
