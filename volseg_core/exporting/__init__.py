"""Trained models as ONNX files: writing, reading and checking them."""
