"""The names of recipe files; imported by the beat program, so it must import nothing heavy."""

from __future__ import annotations


def file_names(model: str) -> tuple[str, str]:
    """Return the names that a model's recipe file may have; the first one takes precedence."""
    return f"{model}.py", f"{model.replace('-', '_')}.py"
