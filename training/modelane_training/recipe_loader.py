"""Find and load recipes: the Python files of the recipes folder.

A recipe is code and runs with the trainer's rights, so only people who may change the trainer's files may
write one. A model's name from the queue is looked up in the recipes folder and is never used as a path.
"""

from __future__ import annotations

import hashlib
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

import cloudpickle

from modelane.errors import RecipeError
from modelane.keys import check_model_name
from modelane_training.recipe import Recipe
from modelane_training.recipe_errors import MODULE_PREFIX, error_with_line

BUILT_IN = Path(__file__).parent / "recipes"


def load_recipe(path_or_model: str, folder: Path) -> Recipe:
    """Load a recipe for a person at a terminal, who may name a file.

    Args:
        path_or_model: the path of a Python file, ending in ``.py``, or the name of a model.
        folder: the recipes folder, for the name of a model.

    Raises:
        RecipeError: there is no such recipe, or it cannot be loaded.
    """
    if path_or_model.endswith(".py"):
        return _execute(Path(path_or_model))
    return recipe_of(path_or_model, folder)


def recipe_of(model: str, folder: Path) -> Recipe:
    """Load the recipe of a model: from the recipes folder, else the one that comes with Modelane.

    Raises:
        BadInput: ``model`` is not a valid model name.
        RecipeError: there is no such recipe, it cannot be loaded, or it is for another model.
    """
    names = file_names(check_model_name(model))
    candidates = (*(folder / name for name in names), BUILT_IN / names[-1])
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        close = get_close_matches(model, _models(folder), n=1)
        suggestion = f"did you mean {close[0]!r}? " if close else ""
        raise RecipeError(
            f"there is no recipe for {model}: {suggestion}expected {candidates[0]}; "
            "`modelane init` writes a first one, and MODELANE_RECIPES names the folder"
        )
    recipe = _execute(path)
    if recipe.model != model:
        raise RecipeError(
            f"{path} is the recipe of {recipe.model}: did you mean {recipe.model!r}? "
            f"A recipe of {model!r} needs model={model!r} in a file of its own"
        )
    return recipe


def _models(folder: Path) -> list[str]:
    """Return the names of the models that have a recipe file."""
    return [
        path.stem.replace("_", "-") for place in (folder, BUILT_IN) for path in place.glob("[a-z0-9]*.py")
    ]


def file_names(model: str) -> tuple[str, str]:
    """Return the names that a model's recipe file may have; the first one takes precedence."""
    return f"{model}.py", f"{model.replace('-', '_')}.py"


def _execute(path: Path) -> Recipe:
    try:
        source = path.read_bytes()
    except FileNotFoundError as exc:
        raise RecipeError(f"the recipe {path} does not exist") from exc
    except OSError as exc:
        raise RecipeError(f"the recipe {path} cannot be read: {exc.strerror}") from exc
    digest = hashlib.sha256(str(path.absolute()).encode() + b"\0" + source).hexdigest()
    module = ModuleType(MODULE_PREFIX + digest[:16])
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look their module up there
    try:
        # Without an importer: its cache compares times in whole seconds, and may miss a change.
        code = compile(source, path, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102  # a recipe is code
    except (Exception, SystemExit) as exc:
        del sys.modules[module.__name__]
        if isinstance(exc, RecipeError):
            raise RecipeError(f"the recipe {path}: {exc}") from exc
        raise RecipeError(f"the recipe {path} failed: {error_with_line(exc)}") from exc
    found = {id(value): value for value in vars(module).values() if isinstance(value, Recipe)}
    if len(found) != 1:
        raise RecipeError(
            f"the recipe {path} defines {len(found)} Recipe objects: expected one, such as recipe = Recipe(…)"
        )
    # Processes that run fits cannot import this module, so its classes and functions are pickled by value.
    cloudpickle.register_pickle_by_value(module)
    return next(iter(found.values()))
