"""``flask imagemeta``: the commands for people who look after an image store.

A command's module is imported when the command is asked for, never by an application that
only serves.
"""

from __future__ import annotations

from importlib import import_module

import click
from flask import Flask
from flask.cli import AppGroup

_COMMANDS = ("add", "check", "list", "show")


class _Commands(AppGroup):
    """A group whose commands are modules beside this one, each with a ``command`` in it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command


def add_commands(app: Flask) -> None:
    """Add the commands to an application, once; a command of its own of that name stays."""
    if "imagemeta" not in app.cli.commands:
        app.cli.add_command(_Commands("imagemeta", help="Look after the images of ImageMeta."))
