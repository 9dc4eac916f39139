"""What ``dims`` of a recipe allows: two for slices, three for boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from volseg_core.recipe.blocks import Block, DataBlock, Header, PredictBlock
    from volseg_core.recipe.layers import Path

_BOXES = 3
_SHAPES = {2: "[height, width]", _BOXES: "[depth, height, width]"}
_ORDERS = ("auto", "zyx", "z", "y", "x")


def with_all_edges(content: Mapping[str, Any], dims: Any) -> dict[str, Any]:
    """Return a block's content in which the ``window`` of a 3D network that is one number has three."""
    edge = content.get("window")
    if dims == _BOXES and isinstance(edge, int) and not isinstance(edge, bool):
        return {**content, "window": [edge] * _BOXES}
    return dict(content)


def check_dims(
    header: Header | None, blocks: Mapping[str, Block | None], where: Callable[[Path], str]
) -> Iterator[UsageError]:
    """Yield an error for each key that does not go with the recipe's ``dims``; ``where`` words a place."""
    if header is None:
        return
    data: Any = blocks["data"]
    predict: Any = blocks["predict"]
    for name, block in (("data", data), ("predict", predict)):
        if block is not None and isinstance(block.window, tuple) and len(block.window) != header.dims:
            what = f"{list(block.window)} is not the shape of a window where dims is {header.dims}"
            yield UsageError(where((name, "window")), what, f"Give {_SHAPES[header.dims]}, or auto.")
    if header.dims == _BOXES:
        yield from _slices_only(data, predict, where)


def _slices_only(
    data: DataBlock | None, predict: PredictBlock | None, where: Callable[[Path], str]
) -> Iterator[UsageError]:
    """Yield an error for each key that only means something where slices are looked at."""
    if data is not None:
        if data.neighbours:
            what = "neighbouring slices are channels where dims is 2; a 3D network sees them in its window"
            yield UsageError(where(("data", "neighbours")), what, "Set data.neighbours=0.")
        if data.axes not in _ORDERS:
            what = f"{data.axes!r} does not go with dims: 3, where axes says which directions look alike"
            yield UsageError(where(("data", "axes")), what, "Give zyx, or the one axis that differs, such as z.")
        if data.val.split != "slab":
            what = f"{data.val.split} holds out slices; a 3D network sees boxes"
            yield UsageError(where(("data", "val", "split")), what, "Set data.val.split=slab.")
        if data.independent:
            what = "independent images have no depth for a 3D network to see"
            yield UsageError(where(("data", "independent")), what, "Use dims: 2 and a 2D network.")
    if predict is not None and predict.quality == "legacy12":
        what = "legacy12 are directions of slices; a 3D network has low, medium, high and max"
        yield UsageError(where(("predict", "quality")), what)
