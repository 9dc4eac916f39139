"""Tasks: what kind of result a head of a network gives, and which arrays become of it."""

from __future__ import annotations

CLASS_TASKS = ("multiclass", "binary")
"""Tasks whose result is one class for every voxel: C logits, or one of two classes."""
VALUE_TASKS = ("multilabel", "regression")
"""Tasks whose result has a value in every channel: probabilities that exclude none, or any numbers."""

LABELS, INSTANCES, PROBABILITIES, VALUES = "labels", "instances", "probabilities", "values"
HEAD_ARRAYS = {
    "multiclass": (LABELS, PROBABILITIES),
    "binary": (LABELS, PROBABILITIES),
    "multilabel": (PROBABILITIES,),
    "regression": (VALUES,),
}
"""Arrays of a prediction that the head of each task gives, the one that is written in any case first."""


def array_name(head: str, kind: str) -> str:
    """Return the name of an array in a prediction: with several heads those of each have its name before them."""
    return f"{head}_{kind}" if head else kind
