"""Merges: how the predictions of many views become one label per voxel."""
