"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Encoder, Param, hookimpl


@hookimpl
def volseg_encoders() -> list[Encoder]:
    """Return the encoders of this plugin."""
    return [
        Encoder(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="Plain pyramid of convolutions; each stage halves the size.",
            params={
                "width": Param(
                    "int", 16, "Channels of the first feature; they double up to eight times as many.", min=1
                ),
                "depth": Param("int?", None, "Stages; null: as many as the architecture wants.", min=1, max=5),
            },
            wants=("in_channels", "depth", "output_stride"),  # and name, where one target serves several encoders
            dims=(2,),
            strides=(1, 2, 4, 8, 16, 32),  # of the features at full depth, finest first
            weights={},  # pretrained ones: {"imagenet": Weights(url, sha256=..., licence=...)}
            licence="Apache-2.0",
        )
    ]
