"""Targets that are made of labels: foreground, boundaries, affinities, distances, centres."""
