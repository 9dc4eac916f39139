"""Augmentation of boxes, in three dimensions."""
