from __future__ import annotations

import json
import sys
import tarfile
from hashlib import md5

import pytest
from flask import Flask
from sqlalchemy.exc import StatementError

from flask_imagemeta import ImageMeta
from flask_imagemeta.stores import ModelStore

from .images import IMAGES, unpack
from .mutations import LUKS

pytest.importorskip("flask_imagemeta.files")
SENDABLE = [name for name in IMAGES if IMAGES[name].formats]


@pytest.fixture
def disk(tmp_path):
    return unpack("disk.qcow2", tmp_path)


@pytest.mark.parametrize("name", SENDABLE)
def test_real_images(name, run, stored_images, tmp_path):
    """An image file of every format is registered with its facts."""
    path = unpack(name, tmp_path)
    assert run("add", path).exit_code == 0
    data = path.read_bytes()
    (image,) = stored_images()
    expected_format, virtual_size = next(iter(IMAGES[name].formats.items()))
    assert (image.name, image.status) == (name, "active")
    assert (image.size, image.checksum) == (len(data), md5(data).hexdigest())
    assert (image.disk_format, image.container_format) == (expected_format, "bare")
    assert image.virtual_size == (virtual_size or len(data))


def test_options(run, stored_images, disk):
    """What the options say is registered."""
    options = (
        *("--id", "i1", "--image-name", "Größe", "--container-format", "ovf", "--owner", "p1"),
        *("--visibility", "public", "--protected", "--min-disk", 1, "--min-ram", 2),
        *("--property", "os=linux", "--property", "cmdline=a=b", "--property", "empty="),
    )
    result = run("add", disk, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    (image,) = stored_images()
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


def test_several_files(run, stored_images, tmp_path):
    """Several files are registered at once, in the order given."""
    paths = [unpack(name, tmp_path) for name in ("disk.vdi", "disk.vmdk")]
    result = run("add", *paths)
    assert [image.name for image in stored_images()] == ["disk.vdi", "disk.vmdk"]
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


def test_one_bad_file_spoils_all(run, stored_images, disk, tmp_path):
    """When one file cannot be read, none is registered."""
    assert "cannot be read: No such file" in refuse(run, stored_images, disk, tmp_path / "none")


def test_database_that_refuses(run, stored_images, disk, tmp_path):
    """When the database refuses one image, none is registered."""
    run("add", unpack("disk.vdi", tmp_path), "--id", "i1")
    assert "UNIQUE constraint failed" in refuse(run, stored_images, disk, "--id", "i1")


def test_data_that_is_there(run, stored_images, disk, tmp_path):
    """Data that the store has is refused, naming the image that has it."""
    run("add", disk, "--id", "i1")
    assert "as image i1" in refuse(run, stored_images, unpack("disk.vdi", tmp_path), disk)


def test_data_that_is_there_again(run, stored_images, disk):
    """--again registers the same data once more."""
    run("add", disk)
    assert run("add", disk, "--again").exit_code == 0
    assert len(stored_images()) == 2


def test_data_of_a_deleted_image(run, stored_images, put, disk):
    """A deleted image does not stand in the way of its data."""
    data = disk.read_bytes()
    put({"checksum": md5(data).hexdigest(), "size": len(data), "deleted": True})
    assert run("add", disk).exit_code == 0


def test_the_same_file_twice(run, stored_images, disk):
    """The same data in two of the files is refused."""
    assert "has the same data" in refuse(run, stored_images, disk, disk)


def test_format_without_a_word(run, stored_images, tmp_path):
    """A format that the Image API has no word for is refused."""
    error = refuse(run, stored_images, unpack("disk.qed", tmp_path))
    assert "is qed, which is not a disk format of the Image API" in error


@pytest.mark.parametrize("disk_format", ["raw", "vdi", "ami"])
def test_format_that_it_is_not(run, stored_images, disk, disk_format):
    """A file cannot be registered as what its data is not."""
    error = refuse(run, stored_images, disk, "--disk-format", disk_format)
    assert f"is qcow2, not {disk_format}" in error


@pytest.mark.parametrize("disk_format", ["raw", "ami", "aki", "ari", "ploop"])
def test_formats_without_a_mark(run, stored_images, tmp_path, disk_format):
    """Data without a mark of its own is registered as any format that has none."""
    path = unpack("disk.raw", tmp_path)
    assert run("add", path, "--disk-format", disk_format).exit_code == 0
    assert stored_images()[0].disk_format == disk_format


def test_two_formats_at_once(run, stored_images, disk, tmp_path):
    """Data of two formats is refused until one of them is chosen."""
    path = unpack("disk.iso", tmp_path)
    with path.open("r+b") as file:
        file.write(disk.read_bytes()[:112])
    assert "is iso and qcow2 at once" in refuse(run, stored_images, path)
    assert run("add", path, "--disk-format", "iso").exit_code == 0


@pytest.mark.parametrize("word", ["shared", "community"])
def test_visibility_without_a_column(run, stored_images, disk, word):
    """A model that only has is_public refuses any other visibility."""
    assert f"not {word}" in refuse(run, stored_images, disk, "--visibility", word)


@pytest.mark.parametrize("pair", ["os", "=linux"])
def test_property_without_a_key(run, stored_images, disk, pair):
    """A property is given as KEY=VALUE."""
    assert "not of the form KEY=VALUE" in refuse(run, stored_images, disk, "--property", pair)


def test_property_twice(run, stored_images, disk):
    """A property is given once."""
    assert "given twice" in refuse(
        run, stored_images, disk, "--property", "a=1", "--property", "a=2"
    )


def test_lookup_that_is_no_store(run, stored_images, disk):
    """A plain function cannot be added to, and the message says what is missing."""
    assert "has no add() and no copies_of()" in refuse(
        run, stored_images, disk, "--name", "firmware"
    )


def test_a_hosts_own_store(disk):
    """A custom lookup can be added to when it has add() and copies_of()."""
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


def test_without_the_extra(run, stored_images, disk, monkeypatch):
    """Without the extra for files, the message says which one to install."""
    monkeypatch.delitem(sys.modules, "flask_imagemeta.files")
    monkeypatch.setitem(sys.modules, "oslo_utils.imageutils.format_inspector", None)
    assert 'pip install "oslo.utils[image-inspection]>=7.4"' in refuse(run, stored_images, disk)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("flat.vmdk", None, "is only the descriptor of a VMDK, whose data is in other files"),
        ("disk.vmdk", 600, "looks like vmdk, but is cut short"),
        ("disk.vhd", 100, "looks like vhd, but is cut short"),
        ("disk.vhdx", 250_000, "looks like vhdx, but is cut short"),
        ("disk.vhdx", 3_145_800, "looks like vhdx, but is cut short"),
    ],
)
def test_damaged_file(run, stored_images, tmp_path, name, size, words):
    """A file that bears the mark of a format, but is not one, is refused."""
    path = unpack(name, tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    assert f"{path} {words}" in refuse(run, stored_images, path)


@pytest.mark.parametrize("size", [6, 100, 168, 591])
def test_cut_header_of_luks(run, stored_images, tmp_path, size):
    """The first bytes of an encrypted volume are no volume."""
    path = tmp_path / "luks.img"
    path.write_bytes(LUKS[:size])
    assert "looks like luks, but is cut short" in refuse(run, stored_images, path)


def test_descriptor_of_another_kind(run, stored_images, tmp_path):
    """A VMDK's descriptor alone is refused, whatever disk it describes, ASCII or not."""
    path = unpack("flat.vmdk", tmp_path)
    flat = path.read_bytes()
    odd = flat.replace(b"flat-flat", "größe-flat".encode())
    for descriptor in (
        flat.replace(b"monolithicFlat", b"monolithicSparse"),
        b"encoding=x\n" + flat,
        odd,
        odd.replace(b"\n", b"\n" * 300, 1),
    ):
        path.write_bytes(descriptor)
        assert "is only the descriptor of a VMDK" in refuse(run, stored_images, path)


def test_virtual_size_that_no_image_can_have(run, stored_images, disk):
    """A disk that would not fit into the Image API's sizes is refused."""
    with disk.open("r+b") as file:
        file.seek(24)
        file.write(b"\xff" * 8)
    error = refuse(run, stored_images, disk)
    assert "looks like qcow2, but claims a disk of 18,446,744,073,709,551,615 bytes" in error


def test_size_beyond_the_column(run, stored_images, disk):
    """A number that the store cannot keep is refused."""
    error = refuse(run, stored_images, disk, "--min-disk", 2**64)
    assert "min_disk" in error or "too large" in error


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "appliance.ova"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(unpack("stream.vmdk", tmp_path), "disk1.vmdk")
    return path


def test_archive(run, stored_images, archive):
    """An OVA is registered with the format of the disks in it, whose size is not known."""
    options = ("--container-format", "ova", "--disk-format", "vmdk")
    assert run("add", archive, *options).exit_code == 0
    (image,) = stored_images()
    assert (image.container_format, image.disk_format) == ("ova", "vmdk")
    assert (image.size, image.virtual_size) == (archive.stat().st_size, None)


def test_archive_without_a_disk_format(run, stored_images, archive):
    """The content of an archive is not guessed."""
    error = refuse(run, stored_images, archive, "--container-format", "ova")
    assert "is an archive: choose the format of the disks in it with --disk-format" in error


def test_archive_that_is_none(run, stored_images, disk):
    """Anything that is not an archive is not registered as an OVA."""
    options = ("--container-format", "ova", "--disk-format", "vmdk")
    assert "is qcow2, but an ova is a tar" in refuse(run, stored_images, disk, *options)


@pytest.mark.parametrize("image_id", ["", ".", "..", "a/b", "a\nb", "a\x7f", "x" * 256, "a\udcff"])
def test_id_that_no_request_can_ask_for(run, stored_images, disk, image_id):
    """An id that no request can ask for is refused."""
    error = refuse(run, stored_images, disk, "--id", image_id)
    assert "No request can ask for" in error
    assert error.strip().isprintable()


@pytest.mark.parametrize("image_id", ["50%", "%2F", "what?", "a#b", "a b", "é;x", "+", "%"])
def test_odd_ids(run, put, disk, image_id):
    """Every other id works with every command."""
    assert run("add", disk, "--id", image_id).exit_code == 0
    assert run("show", image_id).exit_code == 0
    assert run("list").stdout.splitlines()[1].startswith(image_id)
    assert json.loads(run("list", "--json").stdout)["id"] == image_id
    assert run("check").exit_code == 0


def test_name_of_a_file_on_the_terminal(run, tmp_path):
    """A file's name cannot send control characters to the terminal."""
    path = tmp_path / "p\x1b]0;x\x07a.img"
    path.write_bytes(bytes(1000))
    added, copy = run("add", path, "--property", "a\x1b=1"), run("add", path)
    assert (added.exit_code, copy.exit_code) == (0, 2)
    for line in (*added.stdout.splitlines(), *copy.stderr.splitlines()):
        assert r"p\x1b]0;x\x07a.img" in line
        assert line.isprintable()


def test_words_of_the_database_on_the_terminal(run, stored_images, disk, monkeypatch):
    """What a store says cannot send control characters to the terminal."""

    def add(store, new):
        raise StatementError("", "", {}, RuntimeError("\x1b[2Jno"))

    monkeypatch.setattr(ModelStore, "add", add)
    assert refuse(run, stored_images, disk) == "Error: The database says: \\x1b[2Jno\n"


def test_id_of_a_route_of_the_host(disk):
    """An id that another route answers for is one that no request can ask for."""
    app = Flask(__name__)
    app.add_url_rule("/v1/images/special", "own", lambda: "")
    ImageMeta(app, lookup={}.get)
    result = app.test_cli_runner().invoke(args=["imagemeta", "add", str(disk), "--id", "special"])
    assert result.exit_code == 2
    assert "No request can ask for an image with the id 'special'" in result.stderr


def test_name_that_is_empty(run, stored_images, disk):
    """An empty name is one that was given."""
    assert run("add", disk, "--image-name", "").exit_code == 0
    assert stored_images()[0].name == ""
