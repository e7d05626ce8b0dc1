"""One run: from a RunSpec and a block's data to rows, weights, predictions and an outcome."""
