from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from volseg_core.data.labelled import Labelled
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import Registry, load_registry
from volseg_core.volume import Grid, Normalisation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from volseg_core.catalog import Catalog

SHAPE = (12, 20, 24)


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry(builtin_only=True)


@pytest.fixture(scope="session")
def catalog(registry: Registry) -> Catalog:
    return registry.catalog


@pytest.fixture(scope="session")
def recipe(registry: Registry) -> Callable[..., Any]:
    """Resolve a small recipe; arguments replace its blocks."""

    def make(**blocks: Any) -> Any:
        return resolve_recipe(registry, {"name": "test", **blocks})

    return make


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, SHAPE, np.uint8)


@pytest.fixture
def labels(image: np.ndarray) -> np.ndarray:
    return (image > 120).astype(np.uint8) * 3


@pytest.fixture
def h5(tmp_path: Path) -> Callable[..., str]:
    """Write an HDF5 file of named arrays and return its path; ``attributes`` go to the file's root."""

    def write(name: str, attributes: dict[str, Any] | None = None, **arrays: np.ndarray) -> str:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            for key, array in arrays.items():
                file.create_dataset(key.replace("__", "/"), data=array)
            file.attrs.update(attributes or {})
        return str(path)

    return write


@pytest.fixture(scope="session")
def labelled() -> Callable[..., Labelled]:
    """Make a labelled volume whose grey value of a voxel is its place, so that windows can be traced back."""

    def make(shape: tuple[int, int, int], labels: np.ndarray | None = None, *, independent: bool = False) -> Labelled:
        data = np.arange(np.prod(shape), dtype=np.int32).reshape(1, *shape)
        if labels is None:
            labels = (data[0] % 3).astype(np.int8)
        source = "volume " + " x ".join(map(str, shape))
        return Labelled(data, labels, Normalisation("none").fit(data), Grid(source=source, independent=independent))

    return make
