"""Recipes: named assemblies of components, from registry.yaml, plugins and files."""

from volseg_core.recipe.assembled import ComponentUse, Recipe
from volseg_core.recipe.blocks import DataBlock, PredictBlock, TrainBlock
from volseg_core.recipe.resolve import resolve, resolve_model, resolve_recipe
from volseg_core.recipe.sources import RecipeSource, find_recipe, list_recipes

__all__ = [
    "ComponentUse",
    "DataBlock",
    "PredictBlock",
    "Recipe",
    "RecipeSource",
    "TrainBlock",
    "find_recipe",
    "list_recipes",
    "resolve",
    "resolve_model",
    "resolve_recipe",
]
