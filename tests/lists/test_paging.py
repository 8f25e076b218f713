"""Any combination of parameters, walked by marker; and queries that are nonsense."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings, strategies as st

from flask_imagemeta import Identity, ImageMeta, Query

from ..apps import make_app

pytestmark = pytest.mark.core

Images = list[dict[str, Any]]

TEXTS = st.sampled_from([None, "", "a", "A", "b", "ä", "in:a", "a,b", "\U0001f600"])
DAYS = st.sampled_from([None, "2024-01-01T00:00:00", "2024-01-02T00:00:00.000001"])


@st.composite
def collections_of_images(draw: st.DrawFn) -> Images:
    """Draw images of few values, so that many are equal in what they are sorted by."""
    count = draw(st.integers(0, 12))
    return [
        {
            "id": f"i{number:02}",
            "name": draw(TEXTS),
            "status": draw(st.sampled_from(["active", "killed", "queued", None])),
            "size": draw(st.sampled_from([None, 0, 5, 10])),
            "min_ram": draw(st.sampled_from([None, 0, 64])),
            "is_public": draw(st.booleans()),
            "visibility": draw(st.sampled_from([None, "shared", "community", "private"])),
            "owner": draw(st.sampled_from([None, "p", "q"])),
            "members": draw(st.sampled_from([(), ("p",)])),
            "deleted": draw(st.booleans()),
            "created_at": draw(DAYS),
            "updated_at": draw(DAYS),
            "properties": draw(st.dictionaries(st.sampled_from("xy"), TEXTS, max_size=2)),
        }
        for number in range(count)
    ]


CALLERS = st.sampled_from([None, Identity("p"), Identity("p", ["admin"]), Identity(None)])
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "", "in:a,b", "eq:in:a", "in:"]),
        "status": st.sampled_from(["active", "killed"]),
        "size_min": st.sampled_from(["0", "5", "9" * 40]),
        "size_max": st.sampled_from(["5", "9"]),
        "min_ram": st.sampled_from(["0", "64"]),
        "min_disk": st.sampled_from(["0", "x"]),
        "protected": st.sampled_from(["false", "True"]),
        "is_public": st.sampled_from(["None", "True", "False"]),
        "changes-since": st.sampled_from(["2024-01-01", "2024-01-01T00:00:01Z"]),
        "property-x": st.sampled_from(["a", ""]),
        "sort_key": st.sampled_from(["name", "status", "size", "id", "created_at", "updated_at"]),
        "sort_dir": st.sampled_from(["asc", "desc"]),
    },
)


def client_of(images: Images, caller: Identity | None, search: Any = None) -> FlaskClient:
    app = make_app(
        ImageMeta(
            lookup={one["id"]: one for one in images}.get,
            identity=lambda: caller,
            search=search or (lambda query: images),
        )
    )
    return app.test_client()


def page(client: FlaskClient, parameters: dict[str, str]) -> list[str]:
    answer = client.get(f"/v1/images/detail?{urlencode(parameters)}")
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.get_json()["images"]]


def walk(client: FlaskClient, parameters: dict[str, str], limit: int) -> Iterable[str]:
    """Yield the ids of all pages; a page that is short is the last."""
    found = page(client, {**parameters, "limit": str(limit)})
    while True:
        yield from found
        if len(found) < limit:
            return
        found = page(client, {**parameters, "limit": str(limit), "marker": found[-1]})


def store(images: Images) -> Callable[[Query], Any]:
    """Return a search that sorts and cuts by itself, as a database does, and filters nothing."""

    def part(value: Any) -> Any:
        return (False, 0) if value is None else (True, value)

    def search(query: Query) -> Any:
        def key(one: dict[str, Any]) -> Any:
            moments = [str(one[name] or "").ljust(26, "0") for name in ("created_at", "updated_at")]
            timed = {**one, **dict(zip(("created_at", "updated_at"), moments, strict=True))}
            return [part(timed[query.sort_key]), part(timed["created_at"]), part(one["id"])]

        is_desc = query.sort_dir == "desc"
        ordered = sorted(images, key=key, reverse=is_desc)
        if query.marker is not None:
            ordered = ordered[[one["id"] for one in ordered].index(query.marker["id"]) + 1 :]
        return query.ordered(iter(ordered))

    return search


@settings(max_examples=150, deadline=None)
@given(collections_of_images(), CALLERS, QUERIES, st.integers(1, 5), st.booleans())
def test_pages_give_each_image_once(
    images: Images, caller: Identity | None, query: dict[str, str], limit: int, is_sorted: bool
) -> None:
    """Paging by marker gives what one long page does: each image once, in order."""
    client = client_of(images, caller, store(images) if is_sorted else None)
    whole = page(client, {**query, "limit": "1000"})
    assert len(set(whole)) == len(whole)
    assert list(walk(client, query, limit)) == whole
    assert whole == page(client_of(images, caller), {**query, "limit": "1000"})


@settings(max_examples=100, deadline=None)
@given(collections_of_images(), QUERIES, st.integers(1, 3), st.data())
def test_pages_of_images_that_change(
    images: Images, query: dict[str, str], limit: int, data: st.DataObject
) -> None:
    """Whatever comes and goes between pages but markers: what stays is given once, in order."""
    others = data.draw(collections_of_images())
    for one in others:
        one["id"] = f"x{one['id']}"
    client = client_of(images, None)
    stable = page(client, {**query, "limit": "1000"})

    found: list[str] = []
    parameters = {**query, "limit": str(limit)}
    is_last = False
    while not is_last:
        images[:] = [one for one in images if one not in others]
        images += data.draw(st.lists(st.sampled_from(others), unique_by=id)) if others else []
        ids = page(client, parameters)
        kept = [one for one in ids if not one.startswith("x")]
        is_last = len(ids) < limit
        if not (kept or is_last):  # no image to go on from that stays
            images[:] = [one for one in images if one not in others]
            kept = page(client, parameters)
            is_last = len(kept) < limit
        found += kept
        if kept:
            parameters["marker"] = kept[-1]
    assert found == stable


@settings(max_examples=400, deadline=None)
@given(
    st.binary(max_size=60)
    | st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *(
                        "name",
                        "status",
                        "disk_format",
                        "container_format",
                        "min_ram",
                        "min_disk",
                        "size_min",
                    ),
                    *(
                        "size_max",
                        "protected",
                        "is_public",
                        "changes-since",
                        "limit",
                        "marker",
                        "sort_key",
                    ),
                    *("sort_dir", "property-", "property-x"),
                ]
            ),
            st.sampled_from(
                [
                    *(
                        "",
                        "-1",
                        "9" * 5000,
                        "0x1",
                        "1e9",
                        "nan",
                        "None",
                        "\x00",
                        "in:",
                        'in:"',
                        'in:a,"b\\"c"',
                    ),
                    *(
                        "in:,,",
                        "eq:",
                        "neq:a",
                        "0001-01-01T00:00:00+23:59",
                        "9999-12-31T23:59:59-23:59",
                    ),
                    *(
                        "2024-02-30",
                        "2024-W01",
                        "i00",
                        "\u0665",
                        "a/b",
                        "..",
                        "%",
                        "asc",
                        "size",
                        "true",
                    ),
                ]
            )
            | st.text(max_size=8),
        ),
        max_size=4,
    ).map(lambda pairs: urlencode(pairs, errors="surrogatepass").encode())
)
def test_no_query_is_a_500(query: bytes) -> None:
    """Whatever a query says, the answer is a list or a 400."""
    images: Images = [{"id": "i00", "name": "a", "is_public": True, "properties": {"x": "a"}}]
    client = client_of(images, Identity("p", ["admin"]))
    for path in ("/v1/images", "/v1/images/detail"):
        environ = {"QUERY_STRING": query.decode("latin-1")}
        assert client.get(path, environ_overrides=environ).status_code in (200, 400)
