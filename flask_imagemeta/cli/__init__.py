"""``flask imagemeta``: the commands for operators of an image store."""

from .group import add_commands

__all__ = ["add_commands"]
