"""The course's own program: weights of other people's versions of the network, and its CSV files."""
