"""The networks of Volume Segmantics and what they are called here; both tools build them with the same library."""

from __future__ import annotations

TYPES = (
    "U_NET", "U_NET_PLUS_PLUS", "FPN", "DEEPLABV3", "DEEPLABV3_PLUS", "MA_NET", "LINKNET", "PAN", "SEGFORMER",
    "VANILLA_UNET", "MULTITASK_UNET", "PIPELINE_MULTITASK_UNET",
)  # fmt: skip
"""Names of its ModelType; the value of each is its place, counted from 1."""

ARCHITECTURES = {
    "U_NET": "unet", "U_NET_PLUS_PLUS": "unetplusplus", "FPN": "fpn", "DEEPLABV3": "deeplabv3",
    "DEEPLABV3_PLUS": "deeplabv3plus", "MA_NET": "manet", "LINKNET": "linknet", "PAN": "pan", "SEGFORMER": "segformer",
}  # fmt: skip
"""Component by ModelType."""


def untrained(weights: object) -> bool:
    """Whether the encoder starts at random."""
    return weights in (None, False, "", "None", "none", "null")
