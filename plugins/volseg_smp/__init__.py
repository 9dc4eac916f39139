"""Architectures and encoders of segmentation-models-pytorch."""
