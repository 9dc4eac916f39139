"""Losses of semantic segmentation."""
