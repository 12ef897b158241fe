"""The documentation as tests see it: pages and their blocks of code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        language: ``python``, ``sh`` or ``text``.
        line: of the page, where the block starts.
        file: the file name in its first line, such as ``# recipes/churn.py``; empty without one.
    """

    page: Path
    line: int
    language: str
    code: str

    @property
    def file(self) -> str:
        named = re.match(r"# ([\w./-]+\.py)\n", self.code)
        return named.group(1) if named else ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path | str, language: str = "python") -> list[Block]:
    """Return the blocks of a page in one language; a page is a path, or its name below the repository."""
    page = ROOT / page
    text = page.read_text()
    return [
        Block(
            page,
            text.count("\n", 0, found.start()) + 1,
            found.group(2),
            _without(found.group(1), found.group(3)),
        )
        for found in _BLOCK.finditer(text)
        if found.group(2) == language
    ]


def commands(page: Path | str) -> list[str]:
    """Return every ``modelane …`` command that a page tells its reader to type."""
    lines = [line for block in blocks(page, "sh") for line in block.code.replace("\\\n", " ").splitlines()]
    found = (
        re.match(r"(?:\w+=\S+ )*(?:cat \S+ \| )?(?:uv run )?(modelane .*)", line.strip()) for line in lines
    )
    return [re.split(r"  +#| > ", match.group(1))[0].strip() for match in found if match]


def _without(indent: str, code: str) -> str:
    return "\n".join(line.removeprefix(indent) for line in code.split("\n"))
