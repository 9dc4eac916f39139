"""Metrics of segmentation, in numpy and scipy."""
