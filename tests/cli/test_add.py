from __future__ import annotations

import json
import sys
from hashlib import md5

import pytest
from flask import Flask

from flask_imagemeta import ImageMeta

from .images import IMAGES, unpack

pytest.importorskip("flask_imagemeta.files")
SENDABLE = [name for name in IMAGES if IMAGES[name].formats]


@pytest.fixture
def disk(tmp_path):
    return unpack("disk.qcow2", tmp_path)


@pytest.mark.parametrize("name", SENDABLE)
def test_real_images(name, run, images, tmp_path):
    """An image file of every format is registered with its facts."""
    path = unpack(name, tmp_path)
    assert run("add", path).exit_code == 0
    data = path.read_bytes()
    (image,) = images()
    expected_format, virtual_size = next(iter(IMAGES[name].formats.items()))
    assert (image.name, image.status) == (name, "active")
    assert (image.size, image.checksum) == (len(data), md5(data).hexdigest())
    assert (image.disk_format, image.container_format) == (expected_format, "bare")
    assert image.virtual_size == (virtual_size or len(data))


def test_options(run, images, disk):
    """What the options say is registered."""
    options = (
        *("--id", "i1", "--image-name", "Größe", "--container-format", "ovf", "--owner", "p1"),
        *("--visibility", "public", "--protected", "--min-disk", 1, "--min-ram", 2),
        *("--property", "os=linux", "--property", "cmdline=a=b", "--property", "empty="),
    )
    result = run("add", disk, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    (image,) = images()
    assert (image.id, image.name, image.container_format) == ("i1", "Größe", "ovf")
    assert (image.owner, image.is_public, image.protected) == ("p1", True, True)
    assert (image.min_disk, image.min_ram) == (1, 2)
    assert image.properties == {"os": "linux", "cmdline": "a=b", "empty": ""}


def test_added_images_are_shown(run, disk):
    """What was added is what a client gets."""
    run("add", disk, "--id", "i1")
    assert "X-Image-Meta-Virtual_size: 1048576" in run("show", "i1").stdout


def test_json(run, disk):
    """As JSON every image added is an object with its id, its file and its facts."""
    added = json.loads(run("add", disk, "--id", "i1", "--json").stdout)
    assert (added["id"], added["file"], added["disk_format"]) == ("i1", str(disk), "qcow2")


def test_several_files(run, images, tmp_path):
    """Several files are registered at once, in the order given."""
    paths = [unpack(name, tmp_path) for name in ("disk.vdi", "disk.vmdk")]
    result = run("add", *paths)
    assert [image.name for image in images()] == ["disk.vdi", "disk.vmdk"]
    assert [line.split(": ")[1] for line in result.stdout.splitlines()] == [
        f"added {path}" for path in paths
    ]


@pytest.mark.parametrize("option", ["--id", "--image-name"])
def test_options_of_a_single_file(run, disk, option):
    """An id or a name cannot be given to several files."""
    result = run("add", disk, disk, option, "x")
    assert result.exit_code == 2
    assert "for a single FILE" in result.stderr


def refuse(run, images, *arguments):
    """Return the error of an addition after which the store is as before."""
    before = len(images())
    result = run("add", *arguments)
    assert (result.exit_code, result.stdout, len(images())) == (2, "", before)
    return result.stderr


def test_one_bad_file_spoils_all(run, images, disk, tmp_path):
    """When one file cannot be read, none is registered."""
    assert "cannot be read: No such file" in refuse(run, images, disk, tmp_path / "none")


def test_database_that_refuses(run, images, disk, tmp_path):
    """When the database refuses one image, none is registered."""
    run("add", unpack("disk.vdi", tmp_path), "--id", "i1")
    assert "UNIQUE constraint failed" in refuse(run, images, disk, "--id", "i1")


def test_data_that_is_there(run, images, disk, tmp_path):
    """Data that the store has is refused, naming the image that has it."""
    run("add", disk, "--id", "i1")
    assert "as image i1" in refuse(run, images, unpack("disk.vdi", tmp_path), disk)


def test_data_that_is_there_again(run, images, disk):
    """--again registers the same data once more."""
    run("add", disk)
    assert run("add", disk, "--again").exit_code == 0
    assert len(images()) == 2


def test_data_of_a_deleted_image(run, images, put, disk):
    """A deleted image does not stand in the way of its data."""
    data = disk.read_bytes()
    put({"checksum": md5(data).hexdigest(), "size": len(data), "deleted": True})
    assert run("add", disk).exit_code == 0


def test_the_same_file_twice(run, images, disk):
    """The same data in two of the files is refused."""
    assert "has the same data" in refuse(run, images, disk, disk)


def test_format_without_a_word(run, images, tmp_path):
    """A format that the Image API has no word for is refused."""
    error = refuse(run, images, unpack("disk.qed", tmp_path))
    assert "is qed, which is no disk format of the Image API" in error


@pytest.mark.parametrize("disk_format", ["raw", "vdi", "ami"])
def test_format_that_it_is_not(run, images, disk, disk_format):
    """A file cannot be registered as what its data is not."""
    error = refuse(run, images, disk, "--disk-format", disk_format)
    assert f"is qcow2, not {disk_format}" in error


@pytest.mark.parametrize("disk_format", ["raw", "ami", "aki", "ari", "ploop"])
def test_formats_without_a_mark(run, images, tmp_path, disk_format):
    """Data without a mark of its own is registered as any format that has none."""
    path = unpack("disk.raw", tmp_path)
    assert run("add", path, "--disk-format", disk_format).exit_code == 0
    assert images()[0].disk_format == disk_format


def test_two_formats_at_once(run, images, disk, tmp_path):
    """Data of two formats is refused until one of them is chosen."""
    path = unpack("disk.iso", tmp_path)
    with path.open("r+b") as file:
        file.write(disk.read_bytes()[:112])
    assert "is iso and qcow2 at once" in refuse(run, images, path)
    assert run("add", path, "--disk-format", "iso").exit_code == 0


@pytest.mark.parametrize("word", ["shared", "community"])
def test_visibility_without_a_column(run, images, disk, word):
    """A model that keeps is_public alone refuses what that cannot say."""
    assert f"not {word}" in refuse(run, images, disk, "--visibility", word)


@pytest.mark.parametrize("pair", ["os", "=linux"])
def test_property_without_a_key(run, images, disk, pair):
    """A property is given as KEY=VALUE."""
    assert "not of the form KEY=VALUE" in refuse(run, images, disk, "--property", pair)


def test_property_twice(run, images, disk):
    """A property is given once."""
    assert "given twice" in refuse(run, images, disk, "--property", "a=1", "--property", "a=2")


def test_lookup_that_is_no_store(run, images, disk):
    """A plain function cannot be added to, and the message says what is missing."""
    assert "has no add() and no copies_of()" in refuse(run, images, disk, "--name", "firmware")


def test_a_hosts_own_store(disk):
    """A lookup of the host's own can be added to when it has add() and copies_of()."""
    added = []

    class Store:
        def __call__(self, image_id):
            return None

        def copies_of(self, checksum, size):
            return []

        def add(self, images):
            added.extend(images)
            return ["own-id"]

    app = Flask(__name__)
    ImageMeta(app, lookup=Store())
    result = app.test_cli_runner().invoke(args=["imagemeta", "add", str(disk)])
    assert result.stdout.startswith("own-id: added")
    assert added[0]["disk_format"] == "qcow2"


def test_without_the_extra(run, images, disk, monkeypatch):
    """Without the extra for files, the message says which one to install."""
    monkeypatch.delitem(sys.modules, "flask_imagemeta.files")
    monkeypatch.setitem(sys.modules, "oslo_utils.imageutils.format_inspector", None)
    assert "pip install 'Flask-ImageMeta[files]'" in refuse(run, images, disk)
