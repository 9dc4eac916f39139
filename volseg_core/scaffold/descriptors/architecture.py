"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Architecture, Param, hookimpl


@hookimpl
def volseg_architectures() -> list[Architecture]:
    """Return the networks of this plugin."""
    return [
        Architecture(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="U-Net of three scales with an encoder of its own.",
            params={
                "width": Param("int", 16, "Channels of the finest scale; each coarser one has twice as many.", min=1)
            },
            wants=("in_channels", "num_classes", "dims"),
            dims=(2, 3),
            encoder="none",  # or "optional", "required": then wants encoder (EncoderChoice), to be built
            divisor=4,  # input sizes must be multiples of it, and at least min_size; volseg pads to that
            min_size=16,
            exports_onnx=True,  # False where ONNX cannot express it; export_rewrites may name a function that helps
            licence="Apache-2.0",
            citation="arXiv:1505.04597",
        )
    ]
