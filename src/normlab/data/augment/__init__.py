"""Augmentation: policy → draws → space and colour → mixtures."""
