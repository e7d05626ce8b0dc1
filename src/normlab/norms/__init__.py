"""Normalization layers, from the maths to other people's networks.

    functional   the maths as pure functions: plane operators, rules, one autograd function
    fused        how the layers are made fast: compiled for the CPU, Triton for a GPU
    base         what all layers share: `Normalization`, `RunningNormalization`
    layers       the layers themselves
    registry     the norms by name, and `register` for one's own
    spec         spec strings such as "gn:groups=8": `make_norm`, `parse_norm`
    surgery      convert, fold and freeze the norms of any network
    training     parameter groups, statistics over ranks, precise statistics

Nothing is imported here, so that the command line can ask for a single module of it quickly.
"""
