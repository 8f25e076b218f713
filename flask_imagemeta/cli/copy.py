"""``flask imagemeta copy``: fill this application's store from another one."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from inspect import unwrap
from itertools import islice
from traceback import extract_tb
from typing import Any

import click
from click.exceptions import Exit
from flask.cli import with_appcontext
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ..config import import_object
from ..exceptions import ImageMetaError, InvalidImage, printable, short_repr
from ..image import ImageRecord, read_field
from ..state import State
from ..stores import GlanceDatabase, Walkable, Writable
from ..stores.errors import words_of
from .common import (
    check_store,
    find_state,
    get_store,
    name_option,
    progress,
    read_id,
    reason_of,
    report_losses,
)
from .comparison import Answering, choose_callers, compare, is_same_image, unnoticed
from .head import Route
from .losses import Loss, refusal, unreachable
from .output import CommandError, remark

_PAGE = 100  # images in one transaction
_READ_AGAIN = (str, bytes, list, tuple, set, frozenset)  # the same each time they are read


@click.command("copy", short_help="Fill the store with the images of another one.")
@click.argument("source", envvar="FLASK_IMAGEMETA_COPY_SOURCE")
@name_option
@click.option("--dry-run", is_flag=True, help="Report what the store would refuse; change nothing.")
@click.option(
    "--verify/--no-verify",
    default=True,
    help="Compare what both stores answer for each image.  [default: verify]",
)
@click.option("--json", "is_json", is_flag=True, help="One JSON object for each image reported.")
@with_appcontext
def command(source: str, name: str, dry_run: bool, verify: bool, is_json: bool) -> None:
    """Fill this application's store with the images of SOURCE, deleted ones too.

    SOURCE is the URL of a Glance's database, or package.module:name of a store that can be
    walked. Images that already exist there are updated, so the command can be run again. Then it
    compares, for each image, what an admin, the owner, each member and a stranger would get from
    either store.

    Exit status: 0 when every image was copied and is the same, 1 when there is something to
    report, 2 when the images cannot be copied.
    """
    state = find_state(name)
    target = get_store(state, "copied into", Writable, "put")
    with _opened(source) as origin:
        if origin is target:
            raise CommandError(f"{short_repr(source)} is this application's own store.")
        copying = _Copying(state, origin, dry_run=dry_run, verify=verify, is_json=is_json)
        try:
            with unnoticed(), progress(origin, "Copying") as images:
                copying.run(_named(source, images))
        except KeyboardInterrupt:
            with suppress(CommandError, OSError):  # the readers of its output may have stopped
                remark(copying.summary(is_over=False))
            raise
        except Exception as error:
            message = f"{_reason(error)}\n{copying.summary(is_over=False)}"
            raise CommandError(message) from error
    remark(copying.summary())
    raise Exit(1 if copying.has_reported else 0)


def _named(source: str, images: Iterable[Any]) -> Iterator[Any]:
    """Yield the images of a source; an error of its walk names the source.

    :raises CommandError: when it cannot be read.
    """
    try:
        yield from images
    except Exception as error:
        if "://" in source:
            source = make_url(source).set(query={}).render_as_string(hide_password=True)
        reason = _reason(error)
        raise CommandError(f"The source {short_repr(source)} cannot be read: {reason}") from error


def _reason(error: Exception) -> str:
    """Return in one line why images cannot be copied."""
    if isinstance(error, CommandError):
        return error.message
    reason = reason_of(error)
    if isinstance(error, (SQLAlchemyError, ImageMetaError, OSError)):
        return reason
    place = extract_tb(error.__traceback__)[-1]  # it may be a fault of the application's code
    return f"{reason} (in {place.name}, {place.filename}:{place.lineno})"


@contextmanager
def _opened(source: str) -> Iterator[Any]:
    """Yield the store to copy from.

    :raises CommandError: when there is none, or when it cannot be walked.
    """
    if "://" in source:
        try:
            glance = GlanceDatabase(source)
        except (ValueError, ImportError, ArgumentError) as error:
            words = printable(words_of(error))
            raise CommandError(f"The source cannot be used: {words}") from error
        with closing(glance):
            yield glance
        return
    try:
        store = import_object(source)
    except ImportError as error:
        raise CommandError(
            f"There is no source {short_repr(source)}: it must be a database URL, or "
            f"package.module:name of a store ({printable(str(error))})."
        ) from error
    store = unwrap(store) if callable(store) else store
    check_store(store, "The source cannot be walked", Walkable, "walk")
    yield store


class _Copying:
    """One run of the command: copies by page, compares, reports and counts.

    :param origin: The store to copy from.
    """

    def __init__(
        self, state: State, origin: Any, *, dry_run: bool, verify: bool, is_json: bool
    ) -> None:
        self._state = state
        self._origin = origin
        self._target = state.store
        self._leads_to = Route(state).leads_to
        self._answers = Answering(state)
        self._dry_run = dry_run
        self._verify = verify and not dry_run
        self._is_json = is_json
        self._counts: Counter[str] = Counter()

    @property
    def has_reported(self) -> bool:
        """Whether there was something to report."""
        return any(self._counts[kind] for kind in ("refused", "different", "changed"))

    def summary(self, *, is_over: bool = True) -> str:
        """Return how many images were copied and reported so far, and how to go on.

        :param is_over: Whether the source had no more images.
        """
        counts = self._counts
        copied = counts["copied"]
        verb = "can be copied" if self._dry_run else "copied"
        text = f"{copied:,} image{'' if copied == 1 else 's'} {verb}, {counts['refused']:,} refused"
        if self._verify:
            text += f", {counts['different']:,} different, {counts['changed']:,} changed meanwhile"
        if is_over:
            return text
        can_continue = copied and not self._dry_run
        return f"{text}{'; run the command again to continue' if can_continue else ''}."

    def run(self, walk: Iterable[Any]) -> None:
        """Copy and compare images, a page at a time."""
        pages = iter(walk)
        while page := list(islice(pages, _PAGE)):
            # If the source changes meanwhile, its walk may give an image twice.
            images = {read_id(image): image for image in self._readable(page)}
            for image in self._put(list(images.values())) if images else ():
                if self._verify:
                    self._compare(image)

    def _readable(self, images: Iterable[Any]) -> Iterator[Any]:
        """Yield the images that a request can ask for, with their members; report the others."""
        for image in images:
            try:
                image_id = read_field(image, "id")
                ready = _with_members(image)
            except InvalidImage as error:
                self._report(image, refusal(error))
                continue
            if image_id is None:  # the target would make up a new one in each run
                self._report(image, Loss("refused", "id", "the image has none"))
            elif self._leads_to(str(image_id)):
                yield ready
            else:
                self._report(image, unreachable(str(image_id)))

    def _put(self, images: list[Any], before: Sequence[Any] = ()) -> list[Any]:
        """Write images and return those that the store accepted.

        They are one transaction. If the store refuses it, each half of them is written separately.

        :param before: The images of the page that were accepted before these. A dry run does not
            leave them in the store, so it tries them again, together with these.
        """
        tried = [*before, *images] if self._dry_run else images
        try:
            self._target.put(tried, dry_run=self._dry_run)
        except (ValueError, OverflowError, RecursionError) as error:
            if len(images) == 1:
                self._report(images[0], _refusal(error))
                return []
        else:
            self._counts["copied"] += len(images)
            return images
        middle = len(images) // 2
        accepted = self._put(images[:middle], before)
        return accepted + self._put(images[middle:], [*before, *accepted])

    def _compare(self, image: Any) -> None:
        """Compare what both stores answer for an image, and report the differences.

        An image that differs is read once more, because both stores may be in use.
        """
        image_id = str(read_field(image, "id"))
        found = _find(self._state.hooks.lookup, image_id)
        if is_same_image(image, found, self._state.schema):
            return
        callers = choose_callers(image, found)
        expected = self._answers.find(image, callers)
        if not compare(expected, self._answers.find(found, callers)):
            return
        again = _find(self._origin, image_id) if callable(self._origin) else image
        changes = compare(expected, self._answers.find(again, callers))
        found = _find(self._state.hooks.lookup, image_id)
        differences = compare(expected, self._answers.find(found, callers))
        if changes:
            self._report(image, *(Loss("changed", *change) for change in changes))
        elif differences:
            self._report(image, *(Loss("different", *one) for one in differences))

    def _report(self, image: Any, *losses: Loss) -> None:
        self._counts[losses[0].kind] += 1
        report_losses(image, losses, is_json=self._is_json)


def _refusal(error: Exception) -> Loss:
    """Return the loss of an image that the target refuses."""
    if isinstance(error, InvalidImage):
        return refusal(error)
    return Loss("refused", "image", str(error))


def _find(lookup: Callable[[str], Any], image_id: str) -> Any:
    """Return the image that a lookup finds, with its members fetched, or None."""
    found = lookup(image_id)
    with suppress(InvalidImage):  # raised again if a response depends on them
        found = _with_members(found)
    return found


def _with_members(image: Any) -> Any:
    """Return an image with its members fetched, because they are read several times.

    Some can be read only once: a host's walk may give a generator.
    """
    members = read_field(image, "members")
    if isinstance(members, _READ_AGAIN) or not isinstance(members, Iterable):
        return image
    fetched = tuple(members)
    if isinstance(image, ImageRecord):
        return replace(image, members=fetched)
    if isinstance(image, Mapping):
        return ChainMap({"members": fetched}, image)  # type: ignore[arg-type]
    return _WithMembers(image, fetched)


class _WithMembers:
    """An object with its members fetched; everything else is the object's own."""

    def __init__(self, image: Any, members: tuple[Any, ...]) -> None:
        self._image = image
        self.members = members

    def __getattr__(self, name: str) -> Any:
        return getattr(self._image, name)
