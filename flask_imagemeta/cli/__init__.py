"""``flask imagemeta``: the commands for people who look after an image store."""

from .group import add_commands

__all__ = ["add_commands"]
