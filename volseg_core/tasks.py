"""Tasks: what kind of result a head of a network gives."""

from __future__ import annotations

CLASS_TASKS = ("multiclass", "binary")
"""Tasks whose result is one class for every voxel: C logits, or one of two classes."""
VALUE_TASKS = ("multilabel", "regression")
"""Tasks whose result has a value in every channel: probabilities that exclude none, or any numbers."""
