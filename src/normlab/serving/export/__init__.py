"""Trained networks for programs that do not have normlab: ONNX, torch's programs, a folder."""
