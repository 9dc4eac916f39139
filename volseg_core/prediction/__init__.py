"""Prediction: block -> views -> batches of windows -> runtime -> merge -> writer."""
