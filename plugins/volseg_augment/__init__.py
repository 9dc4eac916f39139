"""Augmentations of training windows, on albumentations."""
