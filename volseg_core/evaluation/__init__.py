"""Evaluation: what two volumes hold -> pieces -> metrics -> scores."""
