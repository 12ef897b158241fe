"""Names of a model's recipe file.  The beat scheduler imports this, so it stays light."""

from __future__ import annotations


def file_names(model: str) -> tuple[str, str]:
    """One of these; the first one goes before."""
    return f"{model}.py", f"{model.replace('-', '_')}.py"
