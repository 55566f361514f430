"""`wellhead completion SHELL`: the completion script of a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion", short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    For bash, in the running shell:  eval "$(wellhead completion bash)"
    """
    completion = get_completion_class(shell)
    if completion is None:  # click offers the three above
        raise click.ClickException(f"no completion for {shell}")
    root = ctx.find_root()
    click.echo(completion(root.command, {}, "wellhead", "_WELLHEAD_COMPLETE").source())
