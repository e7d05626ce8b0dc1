"""One sitting at a study: its data, its size, the question, the runs and the answer."""
