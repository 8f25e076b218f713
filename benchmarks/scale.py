"""P5: requests for one of many images, on three databases; and for images with many properties."""

from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import models
import sqlalchemy as sa
from databases import ASKED, KINDS, asked, fill, image_id, new_database, why_not
from flask import Flask
from harness import Call, Figure, Spread, in_fresh_process, make_call, ratios, spread, time_rounds
from image import FIELDS
from models import Image, ImageProperty, db

from flask_imagemeta import ImageMeta
from flask_imagemeta.stores import GlanceDatabase, ModelStore

FEW = 1_000
STORES = ("ModelStore", "GlanceDatabase")
PROPERTY_COUNTS = (0, 10, 80, 160)


def make_store_app(name: str, url: str) -> Flask:
    """Ours, with one of the stores on the database at url."""
    app = models.make_app(url)
    app.config["IMAGEMETA_MAX_HEADERS"] = 400  # of a client that takes them, to see them all
    store = ModelStore(Image) if name == "ModelStore" else GlanceDatabase(url)
    ImageMeta(app, lookup=store, search=store.search)
    return app


def make_spread_call(name: str, url: str, count: int, by_name: bool) -> Call:
    """Return a function that asks for one of the images asked for, each in its turn.

    :param by_name: Ask for the list of the images with its name, not for its metadata.
    """
    app = make_store_app(name, url)
    calls = cycle([make_image_call(app, one, by_name) for one in asked(count)])

    def ask() -> None:
        next(calls)()

    return ask


def make_image_call(app: Flask, image_id: str, by_name: bool) -> Call:
    if not by_name:
        return make_call(app, path=f"/v1/images/{image_id}")
    query = {"REQUEST_METHOD": "GET", "QUERY_STRING": f"name={image_id}"}
    return make_call(app, path="/v1/images/detail", **query)


def compare_sizes(
    name: str, urls: dict[int, str], rounds: int, by_name: bool = False
) -> list[list[float]]:
    """Return the seconds that requests take among each number of images, round by round."""
    calls = [make_spread_call(name, url, count, by_name) for count, url in urls.items()]
    for call in calls:  # each image once: what a database reads from the disk is not ours
        for _ in range(ASKED):
            call()
    is_here = all(url.startswith("sqlite") for url in urls.values())  # not in another process
    return time_rounds(calls, rounds, process_time if is_here else perf_counter)


def measure(quick: bool, say: Callable[[str], None]) -> Iterator[Figure]:
    many = 10_000 if quick else 1_000_000
    for kind in KINDS:
        if (reason := why_not(kind)) is not None:
            say(f"P5: skipped: {reason}")
            continue
        with new_database(kind) as big, new_database(kind) as small:
            urls = {many: big, FEW: small}
            for count, url in urls.items():
                say(f"P5: {kind}: making {count:,} images")
                fill(kind, url, count)
            if kind == "postgresql":
                yield measure_size(big, many)
            for name, by_name in (*((name, False) for name in STORES), ("ModelStore", True)):
                label = f"{name}, {kind}" + (", a list by name" if by_name else "")
                say(f"P5: {label}")
                rounds = 20 if quick else 100
                times = in_fresh_process(compare_sizes, name, urls, rounds, by_name)
                taken = [spread([row[i] for row in times]).median * 1e6 for i in (0, 1)]
                compared = f"{label}: {many:,} images / {FEW:,}"
                note = f"{taken[0]:.0f} / {taken[1]:.0f} µs"
                yield Figure("P5", compared, spread(ratios(times)), 1.1, note=note)
    say("P5: many properties")
    yield from measure_properties(quick)


def disk_title(count: int) -> str:
    """Return what the figure of the tables' size says of itself."""
    return f"postgresql: {count:,} images in the model's tables on disk"


def measure_size(url: str, count: int) -> Figure:
    """Return what the host's tables take on PostgreSQL's disk, indexes included."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    sizes = "pg_total_relation_size('image') + pg_total_relation_size('image_property')"
    with engine.connect() as connection:
        size = connection.exec_driver_sql(f"SELECT {sizes}").scalar_one() / 2**20
    return Figure("P5", disk_title(count), Spread(size, size, size), unit="MiB")


def measure_properties(quick: bool) -> Iterator[Figure]:
    for name in STORES:
        times = in_fresh_process(compare_properties, name, 20 if quick else 150)
        taken = [spread([row[i] for row in times]).median * 1e6 for i in range(len(times[0]))]
        # On a line through 0 and 80 it is 1; where time grows with the square, about 1.7.
        ratio = spread([row[3] / (2 * row[2] - row[0]) for row in times])
        compared = f"{name}, sqlite: 160 properties / on a line through 0 and 80"
        counts = zip(PROPERTY_COUNTS, taken, strict=True)
        note = ", ".join(f"{count}: {time:.0f} µs" for count, time in counts)
        yield Figure("P5", compared, ratio, 1.1, note=note)


def compare_properties(name: str, rounds: int) -> list[list[float]]:
    """Return the seconds that requests for images with some properties each take."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'images.sqlite'}"
        fill("sqlite", url, FEW)
        give_properties(url)
        app = make_store_app(name, url)
        paths = [f"/v1/images/{number_id(count)}" for count in PROPERTY_COUNTS]
        return time_rounds([make_call(app, path=path) for path in paths], rounds)


def number_id(count: int) -> str:
    return image_id(FEW + 1 + count)


def give_properties(url: str) -> None:
    """Add images with so many properties each, to the host's tables and to Glance's."""
    with models.make_app(url).app_context():
        for count in PROPERTY_COUNTS:
            names = [f"property_{number:03}" for number in range(count)]
            rows = [ImageProperty(name=name, value="a value") for name in names]
            db.session.add(Image(**FIELDS | {"id": number_id(count)}, properties=rows))
        db.session.commit()
        connection = db.session.connection()
        fields = ", ".join(name for name in FIELDS if name != "is_public")
        connection.exec_driver_sql(
            f"INSERT INTO images ({fields}, visibility) "
            f"SELECT {fields}, 'public' FROM image WHERE id NOT IN (SELECT id FROM images)"
        )
        connection.exec_driver_sql(
            "INSERT INTO image_properties (image_id, name, value, created_at, deleted) "
            "SELECT image_id, name, value, '2016-01-06 03:22:20.000000', FALSE "
            "FROM image_property WHERE name LIKE 'property_%'"
        )
        db.session.commit()
