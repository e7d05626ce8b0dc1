"""From records to tables: reading, layout, pairing, curves."""
