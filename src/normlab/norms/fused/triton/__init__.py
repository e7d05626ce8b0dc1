"""The plane engine on a GPU, in Triton; imported only when a tensor on one is normalized.

sweeps      the four sweeps over the tensor
rule        what happens between them, on N×C numbers
operators   both as functions of tensors
serve       their place behind torch's dispatcher
"""
