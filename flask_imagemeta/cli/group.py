"""The group of commands.

A command's module is imported when the command is run, never by an application that
only serves. The group has a module of its own because the package has its commands' modules
as attributes, one of which has the name of a builtin.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup

from .output import documented_exit_status

_COMMANDS = ("add", "check", "copy", "list", "show")


class _Commands(AppGroup):
    """A group whose commands are modules beside this one, each with a ``command`` in it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"{__package__}.{cmd_name}").command
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with documented_exit_status():  # --help is answered here
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with documented_exit_status():
            return super().invoke(ctx)


def add_commands(app: Flask) -> None:
    """Add the commands to an application, once; an existing command of that name stays."""
    if "imagemeta" not in app.cli.commands:
        app.cli.add_command(_Commands("imagemeta", help="Manage the images of ImageMeta."))
