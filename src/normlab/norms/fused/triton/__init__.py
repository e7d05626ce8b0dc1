"""The plane engine on a GPU, in Triton; imported only when a tensor on one is normalized.

sweeps      the four sweeps over the tensor
rule        what happens between them, on N×C numbers
operators   the sweeps as functions of tensors, and the four plane operators
fused_norm  a whole layer of the six main norms
serve       their place behind torch's dispatcher
"""
