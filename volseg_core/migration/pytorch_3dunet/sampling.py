"""The section ``slice_builder`` of a training: which windows an epoch takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.volume.windows import step_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.migration.settings import Settings, Transfer

_PLAIN, _FILTER = "SliceBuilder", "FilterSliceBuilder"
_SHARE, _SLACK = 0.6, 0.01
"""The defaults of a filter: which share of a patch is no background, and of those below it how many are kept."""
_LEAST = 1e-9
"""A share that one voxel reaches, whatever the window."""
_DIGITS = 10_000
SLICES = {
    **dict.fromkeys(("name", "stride_shape"), "windows tile a volume"),
    **dict.fromkeys(("threshold", "slack_acceptance"), "a window counts wherever there is a label"),
    "ignore_index": "a voxel that is ignored (data.ignore) is no foreground",
    "skip_shape_check": "every size works that the network takes",
    "halo_shape": "it counts for predictions",
}
"""What needs no key where windows only tile a volume."""


def carry_sampler(slices: Settings, transfer: Transfer, dims: int, *, ids: bool) -> None:
    """Carry how patches lie and which are kept; ``ids``: labels are ids, so that some are foreground."""
    patch, stride = (lengths(slices.take(key), dims) for key in ("patch_shape", "stride_shape"))
    if slices.take("name") in (_PLAIN, _FILTER) and patch and stride and min(*patch, *stride):
        _grid(slices, transfer, patch, stride, ids=ids)
    else:
        transfer.carry("data.sampler", "uniform", "every patch counts alike there; 'balanced' finds rare classes")
        slices.leave(("name", "stride_shape", "threshold", "slack_acceptance"), "windows are drawn at random")
    slices.leave_the_rest(SLICES, "no key of pytorch-3dunet's slice_builder")


def _grid(slices: Settings, transfer: Transfer, patch: Sequence[int], stride: Sequence[int], *, ids: bool) -> None:
    overlap = max(_overlap(edge, step) for edge, step in zip(patch, stride, strict=True))
    steps = [step_between(edge, overlap) for edge in patch]
    planes = slices.take("stride_shape")[: -len(patch)]
    if steps != list(stride):
        apart = " x ".join(map(str, steps))
        slices.leave("stride_shape", f"windows lie {apart} apart: one overlap is for all directions, and leaves no gap")
    elif planes not in ([], [1]):
        slices.leave("stride_shape", "windows lie in every slice")
    sampler: dict[str, Any] = {"kind": "grid", "overlap": overlap}
    name, why = slices.word("name"), "each patch once, as far apart as stride_shape says"
    if name == _FILTER:
        more, said = _kept(slices, ids=ids)
        sampler, why = sampler | more, why + said
    else:
        slices.leave(("threshold", "slack_acceptance"), f"without effect on {_PLAIN}")
    transfer.carry("data.sampler", sampler, f"{name}: {why}")


def _kept(slices: Settings, *, ids: bool) -> tuple[dict[str, float], str]:
    """Return which windows a filter keeps, and what is to be said about it."""
    if not ids:
        slices.leave(("threshold", "slack_acceptance"), "labels hold values, of which none is foreground")
        return {}, ", whatever it holds"
    share, slack = (slices.number(key, _is_share) for key in ("threshold", "slack_acceptance"))
    share, slack = _SHARE if share is None else share, _SLACK if slack is None else slack
    if slack:
        slices.leave("slack_acceptance", "no window below the threshold is taken")
    return {"foreground": max(share, _LEAST)}, (
        f", if at least {share:g} of it is foreground; of the others {slack:g} are kept there, none here"
    )


def _is_share(value: float) -> bool:
    return 0 <= value <= 1


def _overlap(edge: int, step: int) -> float:
    """Return the overlap at which windows of ``edge`` voxels lie ``step`` apart, rounded down."""
    return max(0, (edge - step) * _DIGITS // edge) / _DIGITS


def lengths(value: Any, dims: int) -> list[int]:
    """Return a shape (z, y, x), or of a slice (y, x); nothing where it is none."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, int) and item >= 0 for item in value):
        return []
    return list(value[-dims:]) if len(value) >= dims else []
