"""Texts for people use plain, modern words: comments, docstrings, messages and pages."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pages import PAGES, ROOT

ARCHAIC = re.compile(
    r"\b(whoever|whosoever|whatever|anew|begun|meanwhile|heed(ed|s)?|noughts?|unsaid|goes on|gone on|"
    r"in words|is told|is said|are said|of his own|at once|comes to nothing|thereof|is ended|said so)\b",
    re.IGNORECASE,
)
FOLDERS = ("producer", "worker", "training", "examples", "benchmarks")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each comment and string of a module, or of a whole page."""
    content = path.read_text()
    if path.suffix != ".py":
        yield from enumerate(content.splitlines(), start=1)
        return
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield token.start[0], token.string


@pytest.mark.parametrize("folder", [*FOLDERS, "docs"])
def test_texts_have_no_archaic_words(folder):
    files = PAGES if folder == "docs" else sorted((ROOT / folder).rglob("*"))

    found = [
        f"{path.relative_to(ROOT)}:{line}: {text.strip()[:100]}"
        for path in files
        if path.suffix in (".py", ".md", ".lua", ".html")
        for line, text in texts(path)
        if ARCHAIC.search(text)
    ]

    assert found == []
