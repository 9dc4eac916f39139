"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Reader, hookimpl


@hookimpl
def volseg_readers() -> list[Reader]:
    """Return the readers of this plugin."""
    return [
        Reader(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="Raw voxels with a JSON file beside them, memory-mapped.",
            suffixes=(".component-suffix",),  # files that it is chosen for; a recipe may also name it: data.reader
            directories=False,  # True: it opens folders
            lazy=True,  # opening and reading a box take memory for that box, not for the file
            licence="Apache-2.0",
        )
    ]
