"""The maths as pure functions.

activation   the activations that are applied with a normalization
planes       the four plane operators, and their reference in plain operations
rules        from the planes' statistics to one affine map per plane, for every norm
engine       `plane_norm`: one autograd function for every rule
rank_pool    batch statistics over the ranks of a process group
"""
