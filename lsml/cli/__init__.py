"""The command line. Each command has a module of its own, which is imported only when it is used."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from lsml import __version__
from lsml.cli.secrecy import leave_no_core
from lsml.errors import LsmlError

# purpose -> command -> (its module, its line in `lsml --help`)
GROUPS = {
    "Start": {
        "gallery": ("gallery", "List the recipes of the gallery."),
        "new": ("new", "Write a recipe, from the gallery or for a labeling config."),
        "fetch": ("fetch", "Download the weights that a recipe names, and record their SHA-256."),
        "run": ("run", "Serve a recipe and train in the background: the one command you need."),
        "connect": ("connect", "Connect a project of Label Studio: its model, webhook, sampling and tasks."),
        "doctor": ("doctor", "Check everything between a recipe and Label Studio, and say what to do."),
    },
    "Write a recipe": {
        "validate": ("validate", "Check a recipe and list every problem."),
        "explain": ("explain", "Show which adapter serves which control tag, and why others have none."),
        "adapters": ("adapters", "List the adapters, or the options of one."),
        "schema": ("schema", "Print the recipe's JSON Schema, or write it to a file."),
    },
    "See how it does": {
        "status": ("status", "Show the state of each project, and whether more annotations will help."),
        "versions": ("versions", "List the versions of each project, with their metrics."),
        "promote": ("promote", "Serve another version, for instance to roll back."),
        "review": ("review", "Find annotations that are probably wrong."),
        "simulate": (
            "simulate",
            "Compare orders of annotating on a finished project, by the annotations that each order needs.",
        ),
    },
    "Work on files": {
        "train": ("train", "Train on a file of annotated tasks, offline."),
        "predict": ("predict", "Predict the tasks of a file, or those of a project of Label Studio."),
        "evaluate": ("evaluate", "Evaluate the served version on a file of annotated tasks."),
    },
    "Change a project of Label Studio": {
        "submit": (
            "submit",
            "Turn predictions with a high confidence into annotations, except for a share.",
        ),
        "clear": ("clear", "Delete published predictions from a project of Label Studio."),
    },
    "Keep and operate": {
        "export": ("export", "Back up projects, annotations and versions into one file, while lsml serves."),
        "import": ("import_", "Restore a data directory from a file of `lsml export`."),
        "migrate": ("migrate", "Move a data directory to PostgreSQL and S3."),
        "prune": ("prune", "Delete runs that ended long ago, with their logs."),
        "serve": ("serve", "Run only the web server, as a separate process."),
        "work": ("work", "Run only the worker, beside `lsml serve`."),
        "completion": ("completion", "Print a script for shell completion of commands, options, recipes and names."),
    },
}
VERBS = {verb: found for group in GROUPS.values() for verb, found in group.items()}


class _Verbs(click.Group):
    """The group of commands, which imports a command's module when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"lsml.cli.{VERBS[cmd_name][0]}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, 1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            ctx.fail(f"no command `{args[0]}`{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table, so that --help imports none of the commands.
        width = max(map(len, VERBS))
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(verb.ljust(width), text) for verb, (_, text) in verbs.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(sys.stdout, TextIOWrapper):
            # A label in another script must not fail a command whose output is a pipe of ASCII or cp1252.
            sys.stdout.reconfigure(errors="backslashreplace")
        leave_no_core()
        # Threads of OpenBLAS wait in busy loops: on busy cores a fit by several takes many times as long as by one.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        try:
            return super().main(*args, **kwargs)
        except LsmlError as error:
            from lsml.cli.failure import tell

            tell(error)
            sys.exit(error.exit_code)


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lsml")
def main() -> None:
    """Make a Label Studio ML backend from one YAML recipe: pre-labels, learns from every annotation, no Python.

    Start with `lsml gallery`, then `lsml new sentiment` and `lsml run sentiment.yaml`.
    """


__all__ = ["GROUPS", "VERBS", "main"]
