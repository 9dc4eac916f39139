"""Objects out of what a network gives: thresholds, components, watersheds, agglomeration, filters by size."""
