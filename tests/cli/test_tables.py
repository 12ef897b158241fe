"""Tables are plain columns in a pipe, and drawn by rich on a terminal."""

from __future__ import annotations

import sys

import pytest

from modelane.cli.tables import print_table

ROWS = [("churn", 12, None), ("fraud", 7, "two\nlines")]


@pytest.fixture
def on_a_terminal(capsys, monkeypatch):
    """Print a table on a terminal; return what it shows."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def shown(*arguments, **options) -> str:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        print_table(*arguments, **options)
        return capsys.readouterr().out

    return shown


def test_a_pipe_gets_padded_columns_that_are_never_wrapped(capsys):
    print_table([*ROWS, ("x" * 200, 0, "-")], ("MODEL", "N", "NOTE"), right={1})

    first, churn, fraud, more, long = capsys.readouterr().out.splitlines()
    assert first.split() == ["MODEL", "N", "NOTE"]
    assert churn == f"{'churn':200}  12  -"
    assert fraud == f"{'fraud':200}   7  two"
    assert more.strip() == "lines"
    assert long == "x" * 200 + "   0  -"


def test_a_terminal_gets_the_same_cells_with_colours(on_a_terminal):
    shown = on_a_terminal(ROWS, ("MODEL", "N", "NOTE"), styles=("green", ""))

    assert "\x1b[32mchurn" in shown
    assert "lines" in shown


def test_without_rich_a_terminal_gets_plain_columns(on_a_terminal, monkeypatch):
    monkeypatch.setattr("modelane.cli.tables.find_spec", lambda name: None)

    assert on_a_terminal(ROWS).splitlines()[0] == "churn  12  -"


def test_a_cell_is_neither_markup_nor_a_command_to_the_terminal(on_a_terminal):
    shown = on_a_terminal([("[red]x[/]", "\x1b[31my", "a\tb\r")])

    assert shown.split() == ["[red]x[/]", "\ufffd[31my", "a\ufffdb\ufffd"]


def test_an_empty_table_prints_its_headings_at_most(capsys):
    print_table([])
    print_table([], ("MODEL",))

    assert capsys.readouterr().out == "MODEL\n"
