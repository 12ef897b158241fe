"""Find and load recipes: the Python files of the recipes folder.

A recipe is code and runs with the trainer's rights.  Only people who may change the trainer's files may
write one, so a model's name from the queue is looked up in the recipes folder and is never a path.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType

import cloudpickle

from modelane.errors import RecipeError
from modelane.keys import check_model_name
from modelane_training.recipe import MODULE_PREFIX, Recipe, error_with_line
from modelane_training.recipe_files import file_names

BUILT_IN = Path(__file__).parent / "recipes"


def load_recipe(path_or_model: str, folder: Path) -> Recipe:
    """The recipe in a file, or of a model.  For a person at a keyboard: a path is run.

    Raises:
        RecipeError: no such recipe, or it does not load.
    """
    if path_or_model.endswith(".py"):
        return _execute(Path(path_or_model))
    return recipe_of(path_or_model, folder)


def recipe_of(model: str, folder: Path) -> Recipe:
    """The recipe ``MODEL.py`` of ``folder``, else the one that comes with Modelane.

    Raises:
        BadInput: ``model`` is not a model's name.
        RecipeError: no such recipe, or it does not load, or it is for another model.
    """
    names = file_names(check_model_name(model))
    places = (*(folder / name for name in names), BUILT_IN / names[-1])
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise RecipeError(f"no recipe for {model}: expected {places[0]} (MODELANE_RECIPES names the folder)")
    recipe = _execute(path)
    if recipe.model != model:
        raise RecipeError(f"{path} is the recipe of {recipe.model}, not of {model}")
    return recipe


def _execute(path: Path) -> Recipe:
    try:
        source = path.read_bytes()
    except OSError as exc:
        raise RecipeError(f"the recipe {path} cannot be read: {exc.strerror}") from exc
    digest = hashlib.sha256(str(path.absolute()).encode() + b"\0" + source).hexdigest()
    module = ModuleType(MODULE_PREFIX + digest[:16])
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look their module up there
    try:
        # Not by an importer: its cache may hold the file as it was a second ago.
        code = compile(source, path, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102  # a recipe is code
    except (Exception, SystemExit) as exc:
        del sys.modules[module.__name__]
        if isinstance(exc, RecipeError):
            raise RecipeError(f"the recipe {path}: {exc}") from exc
        raise RecipeError(f"the recipe {path} failed: {error_with_line(exc)}") from exc
    found = {id(value): value for value in vars(module).values() if isinstance(value, Recipe)}
    if len(found) != 1:
        raise RecipeError(f"the recipe {path} holds {len(found)} Recipe objects, expected one")
    # Processes that fits run in do not have the module: its classes and functions are sent along.
    cloudpickle.register_pickle_by_value(module)
    return next(iter(found.values()))
