"""Studies in other people's trackers: MLflow, Weights & Biases, TensorBoard."""
