"""What a model's recipe is called in the recipes folder.  NAMES → recipe, schedule."""

from __future__ import annotations


def file_names(model: str) -> tuple[str, str]:
    """One of these; the first one goes before."""
    return f"{model}.py", f"{model.replace('-', '_')}.py"
