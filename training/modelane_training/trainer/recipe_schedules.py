"""Read when the recipes of a folder are due.

A recipe is code, so recipes are executed in a process of their own (:func:`main`), where they cannot stop or
delay the beat program. Called by the beat scheduler.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from modelane.local.die_with_parent import kill_group
from modelane.settings import Settings

#: Maximum seconds to read recipes. The recipe that hangs is skipped, and the remaining ones are read again.
READ_LIMIT_S = 60.0


class RecipeSchedule(msgspec.Struct, frozen=True):
    """The schedule of one recipe file, or why it could not be read."""

    file: str
    model: str = ""
    schedule: str | None = None  #: a crontab line; None if the recipe has none
    expected: tuple[str, ...] = ()  #: the files in which trainers look for the model's recipe
    error: str = ""


def read_schedules(settings: Settings) -> list[RecipeSchedule]:
    """Return one entry for each recipe of the folder, in the order of file names.

    A recipe that hangs, or ends the process that reads it, gets an error and does not affect the others.
    """
    names = sorted(path.name for path in Path(settings.recipes).glob("*.py"))
    found: list[RecipeSchedule] = []
    while remaining := names[len(found) :]:
        schedules, error = _read_in_subprocess(settings, remaining)
        found += schedules
        if len(schedules) < len(remaining):
            found.append(RecipeSchedule(remaining[len(schedules)], error=error))
    return _reject_ambiguous(found)


def _reject_ambiguous(found: list[RecipeSchedule]) -> list[RecipeSchedule]:
    """Replace schedules of files that trainers would not execute, or that share a model, by errors."""
    findable = [each for each in found if each.file in each.expected]
    return [_checked(each, findable) for each in found]


def _checked(recipe: RecipeSchedule, findable: list[RecipeSchedule]) -> RecipeSchedule:
    if not recipe.schedule:
        return recipe
    files = [other.file for other in findable if other.model == recipe.model]
    if recipe.file not in files:
        reason = (
            f"it is a recipe of {recipe.model}, which trainers look for in {recipe.expected[0]}: "
            "rename the file"
        )
    elif len(files) > 1:
        reason = f"{' and '.join(files)} are both recipes of {recipe.model}: remove one of them"
    else:
        return recipe
    return RecipeSchedule(recipe.file, recipe.model, error=f"not scheduled: {reason}")


def _read_in_subprocess(settings: Settings, names: list[str]) -> tuple[list[RecipeSchedule], str]:
    """Return the schedules of the first of these recipes, and why the next one could not be read."""
    try:
        reader = subprocess.Popen(
            [sys.executable, "-m", __name__, *names],
            env={**os.environ, **settings.to_env()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            process_group=0,
        )
    except OSError as exc:
        return [], f"the recipe cannot be read: {exc}"
    try:
        output, _ = reader.communicate(timeout=READ_LIMIT_S)
        error = f"the recipe ended the process that reads it, with exit status {reader.returncode}"
    except subprocess.TimeoutExpired:
        kill_group(reader.pid)
        output, _ = reader.communicate()
        error = f"the recipe could not be read within {READ_LIMIT_S:g} s"
    finally:
        kill_group(reader.pid)  # including processes that a recipe has started
    schedules: list[RecipeSchedule] = []
    for line in output.splitlines():
        try:
            schedule = msgspec.json.decode(line, type=RecipeSchedule)
        except msgspec.MsgspecError:
            continue  # printed by a recipe
        if len(schedules) < len(names) and schedule.file == names[len(schedules)]:
            schedules.append(schedule)
    return schedules, error


def main() -> None:
    """Print the schedule of each recipe that the arguments name, one JSON document per line."""
    from modelane.errors import ModelaneError  # noqa: PLC0415  # the beat program needs none of this
    from modelane_training.recipe_loader import file_names, load_recipe  # noqa: PLC0415

    folder = Path(Settings.from_env(os.environ).recipes)
    for name in sys.argv[1:]:
        try:
            recipe = load_recipe(str(folder / name), folder)
            schedule = RecipeSchedule(name, recipe.model, recipe.schedule, file_names(recipe.model))
        except ModelaneError as error:
            schedule = RecipeSchedule(name, error=str(error))
        print(msgspec.json.encode(schedule).decode(), flush=True)
    # End this process and those that recipes have started, which would keep the pipe open.
    kill_group(os.getpid())


if __name__ == "__main__":
    main()
