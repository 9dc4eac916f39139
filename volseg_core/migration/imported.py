"""What an import leaves behind: a recipe that resolves, the weights beside it, and what could not be carried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from volseg_core.data.files import refuse_existing
from volseg_core.errors import DataError
from volseg_core.recipe.choices import write_recipe
from volseg_core.recipe.resolve import resolve
from volseg_core.recipe.sources import RecipeSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from volseg_core.migration.settings import Left, Transfer
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry


@dataclass(frozen=True)
class Imported:
    """What an import wrote, and the settings that it could not carry."""

    paths: tuple[Path, ...]
    left: Sequence[Left]


@dataclass(frozen=True)
class Output:
    """Where an import writes: the recipe, and where there are weights the model file beside it.

    Raises:
        DataError: one of the files exists and is not to be replaced.
    """

    recipe: Path
    weights: bool
    overwrite: bool = False

    def __post_init__(self) -> None:
        refuse_existing(*self.paths, overwrite=self.overwrite)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that are written."""
        return (self.recipe, self.recipe.with_suffix(".safetensors")) if self.weights else (self.recipe,)

    def write(
        self, registry: Registry, title: str, transfer: Transfer, write_weights: Callable[[Recipe, Path], object]
    ) -> Imported:
        """Write the recipe once it resolves, and the weights by ``write_weights(recipe, path)`` before it.

        Raises:
            DataError: a file cannot be written. RecipeErrors: the recipe is not valid here.
        """
        import yaml

        text = write_recipe(title, transfer.choices)
        recipe = resolve(registry, RecipeSource(self.recipe.stem, str(self.recipe.resolve()), yaml.safe_load(text)))
        if self.weights:
            write_weights(recipe, self.paths[1])
        try:
            self.recipe.write_text(text, encoding="utf-8")
        except OSError as error:
            raise DataError(str(self.recipe), f"cannot be written ({error.strerror})") from None
        return Imported(self.paths, transfer.grouped())
