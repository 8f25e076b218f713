"""GlanceAPI with a session: every image that v2 lists to it, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from urllib.parse import urlencode

import pytest
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token

from flask_imagemeta import StoreUnavailable
from flask_imagemeta.stores import GlanceAPI
from flask_imagemeta.stores.protocols import Unsupported

from .glance_list import GlanceList
from .glance_server import RECORDED, Glance, running_glance

COUNT = 2500
LIKE = next(one["v2"] for one in RECORDED.values() if one["http_status"] == 200)
VISIBILITIES = ("public", "private", "shared", "community")


def make_id(number: int) -> str:
    return f"{number:08}-0000-4000-8000-000000000000"


IDS = [make_id(2 * number) for number in range(COUNT)]  # new ones fit between them


def make_image(image_id: str, visibility: str = "private", **values: object) -> dict[str, object]:
    """Return a body as a real Glance sent it, with other values."""
    return {**LIKE, "id": image_id, "visibility": visibility, "os_hidden": False, **values}


@pytest.fixture
def listed() -> GlanceList:
    """Images of every visibility; each seventh is hidden from v2's lists."""
    images = {
        image_id: make_image(
            image_id, VISIBILITIES[number % 4], os_hidden=number % 7 == 0, owner=f"p{number % 5}"
        )
        for number, image_id in enumerate(IDS)
    }
    return GlanceList(images, {IDS[2]: ["m1", "m2"]})


@pytest.fixture
def glance(listed: GlanceList) -> Iterator[Glance]:
    with running_glance() as glance:
        glance.answer = listed
        yield glance


@pytest.fixture
def store(glance: Glance) -> Iterator[GlanceAPI]:
    session = Session(Token(glance.url, "the service's"))
    yield GlanceAPI(glance.url, session=session)
    session.session.close()


def test_every_image_is_walked(glance: Glance, store: GlanceAPI) -> None:
    """Images of others, community images and hidden ones come once each, a page a request."""
    ids = [image.id for image in store.walk()]
    assert sorted(ids) == IDS
    assert len(glance.requests) == 22 + 4  # by a hundred: those shown, those hidden
    assert store.count() == COUNT


def test_an_image_is_as_a_lookup_gives_it(
    glance: Glance, listed: GlanceList, store: GlanceAPI
) -> None:
    """Each image has the fields of a lookup, and its members once they are asked for."""
    for image_id in set(listed.images) - set(IDS[:8]):
        del listed.images[image_id]
    walked = {image.id: image for image in store.walk()}
    assert len(glance.requests) == 2
    for image_id, image in walked.items():
        found = store(image_id)
        assert found is not None
        assert found == type(found)(
            **{name: getattr(image, name) for name in image.__slots__ if name != "members"},
            members=found.members,
        )
        assert list(found.members) == list(image.members)
    assert list(walked[IDS[2]].members) == ["m1", "m2"]


def test_deleted_and_killed_images_are_not_listed(listed: GlanceList, store: GlanceAPI) -> None:
    """What v2 lists to no one is not walked, and not counted."""
    listed.images[IDS[10]]["deleted"] = True
    listed.images[IDS[11]]["status"] = "killed"
    assert sorted(image.id for image in store.walk()) == [*IDS[:10], *IDS[12:]]
    assert store.count() == COUNT - 2


def test_images_that_come_and_go(listed: GlanceList, store: GlanceAPI) -> None:
    """Images that stay come once each, while after every page others are made and deleted."""
    gone: set[str] = set()
    made: set[str] = set()

    def change(page: list[str]) -> None:
        # The last images of the page, which the next one would come after, and one ahead.
        ahead = [image_id for image_id in IDS if page and image_id > page[-1]]
        for image_id in [*page[-3:], *ahead[150:151]]:
            gone.add(image_id)
            listed.images.pop(image_id, None)
        for image_id in [*page[:1], *ahead[50:51]]:
            other = make_id(int(image_id[:8]) + 1)
            made.add(other)
            listed.images[other] = make_image(other)

    listed.on_page = change
    ids = [image.id for image in store.walk()]
    assert len(ids) == len(set(ids))
    assert len(gone) > 50
    assert len(made) > 25
    assert set(IDS) - gone <= set(ids) <= set(IDS) | made


def test_a_page_that_is_gone_as_a_whole(listed: GlanceList, store: GlanceAPI) -> None:
    """If every image of a page is gone, the walk fails rather than ends."""

    def change(page: list[str]) -> None:
        for image_id in page:
            del listed.images[image_id]

    listed.on_page = change
    with pytest.raises(StoreUnavailable, match="every image of the previous page is gone"):
        list(store.walk())


def test_a_list_that_goes_round(glance: Glance, listed: GlanceList, store: GlanceAPI) -> None:
    """A page that only has images of the page before ends the walk with an error."""
    first = listed.list({"sort": "id:asc", "limit": "100", "os_hidden": "false"})
    listed.list = lambda parameters, caller: first  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="does not lead to other images"):
        list(store.walk())


def test_a_list_that_goes_back(listed: GlanceList, store: GlanceAPI) -> None:
    """A list whose second page leads back to the first ends with an error; no image comes twice."""

    def list_page(given: dict[str, str], caller: object) -> tuple[int, dict[str, object]]:
        page, following = (IDS[100:200], "a") if given.get("marker") == "b" else (IDS[:100], "b")
        query = urlencode({**given, "marker": following})
        return 200, {"images": [*map(make_image, page)], "next": f"/v2/images?{query}"}

    listed.list = list_page  # type: ignore[method-assign]
    found: list[str] = []
    with pytest.raises(StoreUnavailable, match="does not lead to other images"):
        found.extend(image.id for image in islice(store.walk(), COUNT))
    assert found == IDS[:200]


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_a_refused_list(status: int, glance: Glance, store: GlanceAPI) -> None:
    """A Glance that refuses to list, such as an old one, is unavailable, with its status."""
    glance.answer = lambda handler: handler.send(status)
    with pytest.raises(StoreUnavailable, match=f"answered {status}"):
        next(store.walk())


def test_callers_tokens_cannot_walk() -> None:
    """Without a session no list could be walked, and the error says so."""
    store = GlanceAPI("http://127.0.0.1:9")
    for attempt in (store.walk, store.count):
        with pytest.raises(Unsupported, match="give it a session"):
            attempt()
