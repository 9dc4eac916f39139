"""Metrics of semantic segmentation, in numpy."""
