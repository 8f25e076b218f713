from __future__ import annotations

import click
from flask import Flask

from flask_imagemeta import ImageMeta


def test_one_group_for_several_objects():
    """Several ImageMeta objects share one group of commands."""
    app = Flask(__name__)
    ImageMeta(app)
    group = app.cli.commands["imagemeta"]
    app.config["FIRMWARE_URL_PREFIX"] = "/firmware"
    ImageMeta(app, name="firmware")
    assert list(app.cli.commands) == ["imagemeta"]
    assert app.cli.commands["imagemeta"] is group


def test_a_hosts_own_command_stays():
    """The host's own command under that name is not replaced."""
    app = Flask(__name__)
    own = click.Command("imagemeta")
    app.cli.add_command(own)
    ImageMeta(app)
    assert app.cli.commands["imagemeta"] is own


def test_unknown_command():
    """A command that is none is refused as one."""
    app = Flask(__name__)
    ImageMeta(app)
    result = app.test_cli_runner().invoke(args=["imagemeta", "common"])
    assert result.exit_code == 2
    assert "No such command 'common'" in result.stderr
