"""How the layers are made fast: one call each way, compiled for the CPU or in Triton."""
