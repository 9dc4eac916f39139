from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_core.api import Generator, Sample, hookimpl
from volseg_core.catalog import Catalog
from volseg_core.data.files import open_volume
from volseg_core.data.generated import generate_sample, generated_volume, write_sample
from volseg_core.data.labelled import read_labelled
from volseg_core.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_sample_is_written_and_read_back(
    catalog: Catalog, tmp_path: Path, image: np.ndarray, labels: np.ndarray
) -> None:
    sample = Sample(
        image, labels, ("ground", "a", "b", "cell"), (2.0, 1.0, 1.0), "nm", extra={"two": np.stack([image, image])}
    )
    assert write_sample(catalog, sample, tmp_path / "made.h5", {"seed": 3}) == [tmp_path / "made.h5"]
    with open_volume(catalog, f"{tmp_path / 'made.h5'}:labels") as source:
        np.testing.assert_array_equal(source.read()[0], labels)
        assert source.attributes["seed"] == 3
        assert source.attributes["classes"][3] == {"id": 3, "name": "cell"}
        assert source.grid.spacing == (2.0, 1.0, 1.0)
    with open_volume(catalog, f"{tmp_path / 'made.h5'}:two") as source:
        np.testing.assert_array_equal(source.read()[1], image)


@pytest.fixture
def blobs(recipe: Callable[..., Any]) -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        return recipe(data={"generate": {"use": "blobs", "shape": [16, 32, 32], "seed": seed}})

    return make


def test_a_generated_volume_is_made_once(catalog: Catalog, tmp_path: Path, blobs: Callable[..., Any]) -> None:
    path = tmp_path / "generated.h5"
    ready = generated_volume(catalog, blobs(0), path)
    assert ready.generate is None
    volumes, (head,) = read_labelled(catalog, ready, ready.data.train, ready.data.labels)
    assert volumes[0].shape == (16, 32, 32)
    assert len(head.classes) >= 2
    made = path.stat().st_mtime_ns
    generated_volume(catalog, blobs(0), path)
    assert path.stat().st_mtime_ns == made


def test_another_generator_or_a_broken_file_makes_it_anew(
    catalog: Catalog, tmp_path: Path, blobs: Callable[..., Any]
) -> None:
    path = tmp_path / "generated.h5"

    def made(seed: int) -> np.ndarray:
        ready = generated_volume(catalog, blobs(seed), path)
        with open_volume(catalog, ready.data.train[0]) as source:
            return source.read()

    first = made(0)
    assert not np.array_equal(made(1), first)
    path.write_bytes(b"half a file")
    np.testing.assert_array_equal(made(0), first)


def test_a_generator_that_returns_something_else_is_named() -> None:
    module = types.ModuleType("acme_generator")

    @hookimpl
    def volseg_generators() -> list[Generator]:
        return [Generator(name="odd", target="acme_generator:Odd", summary="odd")]

    module.volseg_generators = volseg_generators
    module.Odd = type("Odd", (), {"generate": staticmethod(lambda: (1, 2))})
    sys.modules["acme_generator"] = module
    catalog = Catalog.from_modules([module], "volseg-acme")
    with pytest.raises(PluginError, match=r"volseg-acme/odd': generate\(\) returned tuple, not a Sample"):
        generate_sample(catalog, catalog.find("generator", "odd"), {})
