"""The course's own program: other people's versions of the network, and its CSV files."""
