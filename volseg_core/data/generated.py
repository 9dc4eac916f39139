"""Synthetic volumes: made by a generator, written through a writer, used like any other file."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import ArraySpec, Sample
from volseg_core.data.files import default_params, open_volume, writer_for
from volseg_core.errors import PluginError, VolsegError
from volseg_core.recipe import ComponentUse, Recipe
from volseg_core.recipe.resolve import absolute

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.catalog import Catalog, Provided

log = logging.getLogger("volseg")


def write_sample(catalog: Catalog, sample: Sample, path: Path, attributes: Mapping[str, Any]) -> list[Path]:
    """Write a generator's arrays to a file and return the files that were made."""
    arrays = {"data": np.asarray(sample.data), "labels": np.asarray(sample.labels)}
    arrays |= {name: np.asarray(value) for name, value in sample.extra.items()}
    classes = [{"id": number, "name": name} for number, name in enumerate(sample.classes)]
    described = {"spacing": sample.spacing, "unit": sample.unit, "classes": classes, **attributes}
    writer = writer_for(catalog, path)
    specs = {name: ArraySpec(array.shape, array.dtype.name, _axes(array)) for name, array in arrays.items()}
    with catalog.build(writer, default_params(writer)).create(path, specs, described) as sink:
        for name, array in arrays.items():
            for z in range(array.shape[-3]):
                box = (*(slice(0, size) for size in array.shape[:-3]), slice(z, z + 1), *map(slice, array.shape[-2:]))
                sink.write(name, box, array[box])
        sink.commit()
        return list(sink.paths)


def _axes(array: np.ndarray[Any, Any]) -> str:
    return "czyx"[-array.ndim :]


def generate_sample(catalog: Catalog, provided: Provided, params: Mapping[str, Any]) -> Sample:
    """Run a generator.

    Raises:
        PluginError: it returns something else than a sample.
    """
    sample = catalog.build(provided, params).generate()
    if not isinstance(sample, Sample):
        raise PluginError(provided.describe(), f"generate() returned {type(sample).__name__}, not a Sample")
    return sample


def generated_volume(catalog: Catalog, recipe: Recipe, path: Path) -> Recipe:
    """Return the recipe with its generator replaced by the file ``path``.

    The file is made unless it is there already, made by the same generator with the same parameters: a resumed run
    finds the file of the run that it goes on with.
    """
    use = recipe.generate
    assert isinstance(use, ComponentUse)  # noqa: S101  (called for recipes with a generator)
    if _made_by(catalog, path) != json.loads(json.dumps(use.to_dict())):
        log.info("generating a volume with %s into %s", use.provided.id, path)
        sample = generate_sample(catalog, use.provided, use.params)
        write_sample(catalog, sample, path, {"generator": use.to_dict()})
    file = absolute(str(path))
    data = recipe.data.model_copy(update={"train": (f"{file}:/data",), "labels": (f"{file}:/labels",)})
    return recipe.replace(data=data, generate=None)


def _made_by(catalog: Catalog, path: Path) -> Any:
    """Return the generator that a file says it was made by, None when there is no such file."""
    if not path.exists():
        return None
    try:
        with open_volume(catalog, path) as source:
            return source.attributes.get("generator")
    except VolsegError:
        return None
