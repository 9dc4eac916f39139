"""The section ``loaders``: files, windows, what is done to them, and how a prediction lays its windows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.migration.pytorch_3dunet.augmenting import carry_augmentation, carry_normalisation, plane_turns
from volseg_core.migration.pytorch_3dunet.sampling import SLICES, lengths
from volseg_core.migration.pytorch_3dunet.transforms import (
    GEOMETRY,
    INTENSITIES,
    MAKERS,
    NORMALISERS,
    PLAIN,
    Made,
    ignored_ids,
    leave_unknown,
    leave_whole,
    made_of,
    transforms,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from volseg_core.migration.settings import Settings, Transfer

_SUFFIXES = (".h5", ".hdf", ".hdf5", ".hd5")
_IMAGES = "DSB2018Dataset"
_REASONS = {
    "dataset": "files are read by what they are, from memory or piece by piece",
    "output_dir": "volseg predict -o names the output",
    "weight_internal_path": "no map of weights is read; losses weigh by the labels",
    "expand_dims": "shapes follow from the task",
    "random_scale_probability": "the probability is p of the augmentation; there it is that of no change",
    "mirror_padding": "volumes are mirrored at their faces as far as windows reach",
    "data_augmentation": "the transforms of the training say what is done",
}
_PARAMETERS = {
    **dict.fromkeys(("expand_dims", "dtype"), "shapes and types follow from the task"),
    "normalize": "intensities are normalised once, by data.normalise",
    **dict.fromkeys(("centered", "size"), "windows are drawn at random in the training"),
    **dict.fromkeys(("append_label", "append_original"), "metrics of objects are given the labels themselves"),
}
"""Parameters of transforms that need nothing here."""
_KNOWN = (*GEOMETRY, *INTENSITIES, *NORMALISERS, *PLAIN, *MAKERS)
_NOT_THERE = "no key of pytorch-3dunet's {}"
_SAME = "validation normalises as the training does, without augmentation"


@dataclass(frozen=True)
class Labels:
    """What the loaders say of labels: what is made of them, which ids are ignored, by the key that says so.

    ``slices`` are the settings of the patches of a training, which depend on what labels are.
    """

    made: Made | None
    ignored: Mapping[str, int]
    slices: Settings | None


def carry_loaders(settings: Settings, transfer: Transfer, dims: int) -> Labels:
    """Carry files, windows, normalisation and augmentation, and return what becomes of labels."""
    batch, workers = settings.whole("batch_size", 1), settings.whole("num_workers")
    trains = "train" in settings
    if trains:
        transfer.carry("train.batch", batch or 1, "loaders.batch_size, 1 unless it says otherwise")
    elif batch is not None:
        transfer.carry("predict.batch", batch, "loaders.batch_size")
    if workers is not None and trains:
        transfer.carry("train.workers", workers, "loaders.num_workers")
    elif workers is not None:
        settings.leave("num_workers", "a prediction reads in a thread of its own")
    raw, label = (settings.word(f"{key}_internal_path") or key for key in ("raw", "label"))
    images = settings.word("dataset") == _IMAGES
    whole = settings.flag("global_normalization")
    scale = settings.number("random_scale", lambda value: value >= 0) or 0
    found = Labels(None, {}, None)
    if trains:
        phase = settings.section("train")
        _files(phase, transfer, "data", None if images else (raw, label))
        found = _training(phase, transfer, dims, scaled=scale > 0, whole=whole)
        phase.leave_the_rest({}, _NOT_THERE.format("loaders"))
    if "val" in settings:
        phase = settings.section("val")
        _files(phase, transfer, "data.val", None if images else (raw, label))
        _validation(phase, transfer)
        phase.leave_the_rest({}, _NOT_THERE.format("loaders"))
    if "test" in settings:
        _testing(settings.section("test"), transfer, dims, normalise=not trains, whole=whole)
    settings.leave("dataset", _REASONS["dataset"])
    settings.leave_the_rest(_REASONS, _NOT_THERE.format("loaders"))
    return found


def _files(phase: Settings, transfer: Transfer, block: str, inner: tuple[str, str] | None) -> None:
    """Carry the files of a phase with the paths inside them, a folder as the HDF5 files that it holds now."""
    content = phase.take("file_paths")
    paths = content if isinstance(content, list) else [content]
    found: list[str] = []
    for path in map(Path, filter(None, map(str, paths)) if content else ()):
        inside = sorted(item for item in path.iterdir() if item.suffix in _SUFFIXES) if path.is_dir() else [path]
        found += [str(item) for item in inside if item.suffix in _SUFFIXES]
    if inner is None or not found:
        hint = "images and masks; give them" if inner is None else "no HDF5 file, or a folder with none; give files"
        phase.leave("file_paths", f"{hint} with --data and --labels")
        return
    raw, label = (f":/{name.strip('/')}" for name in inner)
    data, labels = ("data.train", "data.labels") if block == "data" else (f"{block}.files", f"{block}.labels")
    transfer.carry(data, [path + raw for path in found], f"{phase.prefix}file_paths, with raw_internal_path")
    transfer.carry(labels, [path + label for path in found], "the same files, with label_internal_path")


def _training(phase: Settings, transfer: Transfer, dims: int, *, scaled: bool, whole: bool) -> Labels:
    slices, lists = phase.section("slice_builder"), phase.section("transformer")
    raw, labels = (transforms(lists, transfer, key) for key in ("raw", "label"))
    window = slices.take("patch_shape")
    if "CropToFixed" in raw and window is not None:
        leave_whole(raw["CropToFixed"], transfer, "windows are as large as patch_shape says")
    elif "CropToFixed" in raw:
        window = raw["CropToFixed"].take("size", default=[256, 256])
    _window(transfer, "data.window", window, dims, f"{slices.prefix}patch_shape")
    axes = "z" if dims == 2 or plane_turns(raw) else "zyx"  # noqa: PLR2004  (slices)
    turned = "slices lie along z alone there" if dims == 2 else "which directions RandomRotate turns into one another"  # noqa: PLR2004
    transfer.carry("data.axes", axes, turned)
    carry_normalisation(raw, transfer, whole=whole)
    carry_augmentation(raw, transfer, scaled=scaled)
    leave_unknown(raw, transfer, (*GEOMETRY, *INTENSITIES, *NORMALISERS, *PLAIN))
    leave_unknown(labels, transfer, (*GEOMETRY, *PLAIN, *MAKERS))
    made, ignored = made_of(labels, transfer, dims), ignored_ids(labels)
    _name_the_rest(raw, labels, transfer)
    lists.leave("weight", _REASONS["weight_internal_path"])
    lists.leave_the_rest({}, _NOT_THERE.format("transformer"))
    return Labels(made, ignored, slices)


def _name_the_rest(raw: Mapping[str, Settings], labels: Mapping[str, Settings], transfer: Transfer) -> None:
    """Name parameters of transforms that nothing was made of, and what moves labels alone."""
    for name, settings in labels.items():
        if name in GEOMETRY and name not in raw:
            leave_whole(settings, transfer, "labels move as the raw data does, which has no such transform")
        elif name in GEOMETRY:
            settings.leave(tuple(settings.remaining()), "labels move as the raw data does, by the nearest voxel")
    for settings in (*raw.values(), *labels.values()):
        settings.leave_the_rest(_PARAMETERS, "the transform has no such parameter, here or there")


def _validation(phase: Settings, transfer: Transfer) -> None:
    slices, lists = phase.section("slice_builder"), phase.section("transformer")
    slices.leave("patch_shape", "windows are those of the training")
    slices.leave_the_rest(SLICES, _NOT_THERE.format("slice_builder"))
    for key in ("raw", "label"):
        found = transforms(lists, transfer, key)
        for name in [name for name in found if name in _KNOWN]:
            leave_whole(found.pop(name), transfer, _SAME)
        leave_unknown(found, transfer, _KNOWN)
    lists.leave("weight", _REASONS["weight_internal_path"])
    lists.leave_the_rest({}, _NOT_THERE.format("transformer"))


def _testing(phase: Settings, transfer: Transfer, dims: int, *, normalise: bool, whole: bool) -> None:
    phase.leave("file_paths", "volseg predict takes the volumes")
    slices, lists = phase.section("slice_builder"), phase.section("transformer")
    _tiles(slices, transfer, dims)
    raw = transforms(lists, transfer, "raw")
    if normalise:
        carry_normalisation(raw, transfer, whole=whole)
    for name, settings in raw.items():
        if name in NORMALISERS and not normalise:
            leave_whole(settings, transfer, "a prediction normalises as the training does")
        elif name in (*GEOMETRY, *INTENSITIES):
            leave_whole(settings, transfer, "a prediction takes the data as it is")
        settings.leave_the_rest(_PARAMETERS, "the transform has no such parameter, here or there")
    leave_unknown(raw, transfer, _KNOWN)
    lists.leave_the_rest({}, "a prediction needs no labels")
    phase.leave_the_rest({}, _NOT_THERE.format("loaders"))


def _tiles(slices: Settings, transfer: Transfer, dims: int) -> None:
    """Carry the windows of a prediction: patches with their halo, as far apart as the strides."""
    patch, stride, halo = (lengths(slices.take(key), dims) for key in ("patch_shape", "stride_shape", "halo_shape"))
    if patch:
        window = [size + 2 * around for size, around in zip(patch, halo or [0] * dims, strict=True)]
        transfer.carry("predict.window", window, "patch_shape, with the halo on both sides")
        if stride and all(step <= size for step, size in zip(stride, window, strict=True)):
            overlap = max(1 - step / size for step, size in zip(stride, window, strict=True))
            why = "stride_shape; windows are blended, where there the last one counts"
            transfer.carry("predict.overlap", round(overlap, 4), why)
    slices.leave("name", "windows tile the volume")
    slices.leave_the_rest(SLICES, _NOT_THERE.format("slice_builder"))


def _window(transfer: Transfer, key: str, value: Any, dims: int, why: str) -> None:
    shape = lengths(value, dims)
    if shape:
        transfer.carry(key, shape, why)
    elif value is not None:
        transfer.leave(why, f"{value!r} is no shape of {dims} dimensions")
