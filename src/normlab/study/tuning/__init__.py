"""Equal tuning: every arm of a block tries the same points, in the same rungs.

points      what is tried: a shifted grid in one dimension, Sobol points in more
rungs       successive halving, the same for all arms
fit         the pick: the optimum of a smooth fit, not the noisy maximum
in_blocks   the whole of it anew in every block, which is the default
once        on blocks of its own before the comparison, as studies did before; exploratory
"""
