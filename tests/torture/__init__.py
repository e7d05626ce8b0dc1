"""What hurts: kills, damages, bad input, injected names, lost writers. See __main__.py."""
