"""A registry of made-up components, so that no test of recipes depends on what the built-ins are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from volseg_core.catalog import Catalog
from volseg_core.discovery import Plugins, plugins_from_modules
from volseg_core.registry import Registry, read_registry_file

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Mapping
    from pathlib import Path

SOURCE = """
from volseg_core.api import (
    Architecture, Augmentation, Encoder, Generator, Loss, Merge, Metric, Param, Reader, Runtime, hookimpl
)

def make(kind, name, **more):
    return kind(name=name, target="hooks:make", summary="Made up.", **more)

NORM = Param("choice", "batch", choices=("batch", "instance", "group"))

@hookimpl
def volseg_architectures():
    return [
        make(Architecture, "unet", encoder="required", dims=(2,), params={"norm": NORM, "depth": Param("int", 5)}),
        make(Architecture, "fpn", encoder="required", dims=(2,), params={"norm": NORM}),
        make(Architecture, "plain", encoder="none", dims=(2,)),
        make(Architecture, "either", encoder="optional", dims=(2,)),
        make(Architecture, "unet3d", dims=(3,)),
    ]

@hookimpl
def volseg_encoders():
    weights = Param("str?", "imagenet")
    return [make(Encoder, n, params={"weights": weights}) for n in ("tu-tf_efficientnet_lite0", "resnet18", "resnet34")]

@hookimpl
def volseg_losses():
    smooth = {"smooth": Param("float", 1e-5, "Added to both sums."), "squared": Param("bool", False)}
    return [
        make(Loss, "cross-entropy", aliases=("ce",)),
        make(Loss, "dice", params=smooth),
        make(Loss, "regress", tasks=("regression",)),
        make(Loss, "old", deprecated="use 'dice' (removed in 0.4)"),
    ]

@hookimpl
def volseg_metrics():
    spacing = Param("list[float]", (1.0, 1.0, 1.0), length=3)
    return [make(Metric, "dice"), make(Metric, "iou"), make(Metric, "surface", params={"spacing": spacing})]

@hookimpl
def volseg_augmentations():
    return [make(Augmentation, "standard", params={"p": Param("float", 0.5)}), make(Augmentation, "identity")]

@hookimpl
def volseg_merges():
    return [make(Merge, "mean")]

@hookimpl
def volseg_runtimes():
    return [make(Runtime, "torch")]

@hookimpl
def volseg_readers():
    return [make(Reader, "zarr")]

@hookimpl
def volseg_generators():
    return [make(Generator, "blobs", params={"shape": Param("list[int]"), "seed": Param("int", 0)})]
"""


@pytest.fixture
def registry(hook_module: Callable[..., types.ModuleType], tmp_path: Path) -> Callable[..., Registry]:
    """Return a function that makes a registry of ``SOURCE`` as built-ins, a registry file and other plugins."""

    def make(
        file: Mapping[str, Any] | None = None,
        builtin_recipes: Mapping[str, str] | None = None,
        others: Mapping[str, str] | None = None,
    ) -> Registry:
        records = plugins_from_modules([hook_module(SOURCE)], "volseg").records
        for name, text in (builtin_recipes or {}).items():
            path = tmp_path / f"{name}.yaml"
            path.write_text(text)
            records[0].recipes.append(path)
        for plugin, source in (others or {}).items():
            records += plugins_from_modules([hook_module(source)], plugin).records
        path = tmp_path / "registry.yaml"
        path.write_text(yaml.safe_dump(dict(file or {})))
        read = read_registry_file(path)
        plugins = Plugins(records, None)  # type: ignore[arg-type]  # no hook of a run is called
        return Registry(read, plugins, Catalog(plugins, read.aliases, read.policy.block))

    return make
