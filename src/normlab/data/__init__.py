"""From photographs to batches: sources → scan → prepare → split → load."""
