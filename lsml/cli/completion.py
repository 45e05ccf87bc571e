"""`lsml completion`."""

from __future__ import annotations

import click

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Complete in a shell.")
@click.argument("shell", type=click.Choice(_SHELLS))
def command(shell: str) -> None:
    """Print the script that makes SHELL complete the commands of lsml, their options, files and names.

    \b
    bash: add to ~/.bashrc   eval "$(lsml completion bash)"
    zsh:  add to ~/.zshrc    eval "$(lsml completion zsh)"
    fish: run once           lsml completion fish > ~/.config/fish/completions/lsml.fish
    """
    from click.shell_completion import get_completion_class

    from lsml.cli import main

    complete = get_completion_class(shell)
    assert complete is not None, "click supports each of _SHELLS"
    click.echo(complete(main, {}, "lsml", "_LSML_COMPLETE").source())
