"""The operations of volseg in Python: arrays or files in and out. The command line is a layer over them."""

from volseg_core.operations.exporting import export, verify
from volseg_core.operations.predicting import fit_merge, postprocess, predict, suggest_labels
from volseg_core.operations.training import train, tune
from volseg_core.operations.volumes import check, evaluate, generate, suggest

__all__ = [
    "check",
    "evaluate",
    "export",
    "fit_merge",
    "generate",
    "postprocess",
    "predict",
    "suggest",
    "suggest_labels",
    "train",
    "tune",
    "verify",
]
