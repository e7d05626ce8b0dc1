"""What training must know of norms: parameter groups, statistics over ranks, precise statistics."""
