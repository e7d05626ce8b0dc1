"""Run records: the narrow waist between what trains (left) and what judges (right). No torch."""
