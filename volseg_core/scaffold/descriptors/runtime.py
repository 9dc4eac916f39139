"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Param, Runtime, hookimpl


@hookimpl
def volseg_runtimes() -> list[Runtime]:
    """Return the runtimes of this plugin."""
    return [
        Runtime(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="The network in torch with double precision: what other runtimes are compared with.",
            params={"precision": Param("choice", "float64", "Arithmetic.", choices=("float32", "float64"))},
            wants=("network", "device", "threads"),  # or model: the path of the exported ONNX file, None without one
            needs=("torch>=2.8",),
            licence="Apache-2.0",
        )
    ]
