"""The normalization layers: parameters and buffers around the rules."""
