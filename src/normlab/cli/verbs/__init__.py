"""The verbs of the command line, a small file each."""
