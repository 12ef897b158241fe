"""`modelane completion`: scripts that let a shell complete commands, options and names of models."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a shell completion script.

    It completes commands, options and the names of models in service.

    \b
    Example:
        modelane completion bash > ~/.local/share/bash-completion/completions/modelane
        modelane completion zsh  > ~/.zfunc/_modelane      # a folder in $fpath
        modelane completion fish > ~/.config/fish/completions/modelane.fish
    """  # noqa: D301  # click wants a real backspace
    script = get_completion_class(shell)
    assert script is not None  # click has all of _SHELLS
    click.echo(script(ctx.find_root().command, {}, "modelane", "_MODELANE_COMPLETE").source())
