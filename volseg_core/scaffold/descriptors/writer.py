"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Writer, hookimpl


@hookimpl
def volseg_writers() -> list[Writer]:
    """Return the writers of this plugin."""
    return [
        Writer(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="Raw voxels with a JSON file beside them, one pair for each array.",
            suffixes=(".component-suffix",),  # outputs that it is chosen for
            directories=False,  # True: it makes folders
            licence="Apache-2.0",
        )
    ]
