"""Data: opening files, the held-out part, windows for training."""
