"""How the layers are made fast: one call each way, compiled for the CPU or in Triton.

arguments        what a fused norm is given and gives back, by name
backends         who computes it on each kind of device
autograd         `fused_norm`, with its backward
compiled_graph   the same as one operator inside of torch.compile
cpu              the C++ kernel: sources, build, loading
triton           the kernels for a GPU
"""
