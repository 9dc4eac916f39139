"""Training: the Lightning module, its callbacks and the assembly of a run."""
