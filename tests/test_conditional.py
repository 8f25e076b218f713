"""Conditional requests and validators, apart from the image they are about."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import process_time

import pytest
from werkzeug.http import http_date
from werkzeug.wrappers import Request

from flask_imagemeta.conditional import MAX_TAGS_LENGTH, as_last_modified, evaluate

from .apps import PATH, make_client

pytestmark = pytest.mark.core

TAG = "0" * 32
TIME = datetime(2026, 2, 1, 12, tzinfo=timezone.utc)
BEFORE, SAME, AFTER = (http_date(TIME + timedelta(seconds=s)) for s in (-1, 0, 1))


def status(**headers: str) -> int:
    """Return the status of a request with these headers, underscores for hyphens."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return evaluate(Request.from_values(headers=names), TAG, TIME)


@pytest.mark.parametrize("tags", [f'"{TAG}"', f'"a", "{TAG}"', "*", f'W/"a","{TAG}"'])
def test_matching_tag(tags: str) -> None:
    """A tag among several matches, an asterisk matches every tag."""
    assert (status(If_Match=tags), status(If_None_Match=tags)) == (200, 304)


@pytest.mark.parametrize("tags", ['"a"', "", ",", f'"{TAG}', f'"x{TAG}"'])
def test_other_tag(tags: str) -> None:
    """Another tag, and what is none, match nothing."""
    assert (status(If_Match=tags), status(If_None_Match=tags)) == (412, 200)


def test_weak_tag() -> None:
    """A weak tag matches for If-None-Match, which compares weakly, and not for If-Match."""
    weak = f'W/"{TAG}"'
    assert (status(If_Match=weak), status(If_None_Match=weak)) == (412, 304)


@pytest.mark.parametrize(
    ("since", "unmodified", "modified"), [(BEFORE, 412, 200), (SAME, 200, 304), (AFTER, 200, 304)]
)
def test_dates(since: str, unmodified: int, modified: int) -> None:
    """Dates compare to the second; the same second counts as not modified."""
    assert status(If_Unmodified_Since=since) == unmodified
    assert status(If_Modified_Since=since) == modified


@pytest.mark.parametrize("date", ["", "yesterday", "1" * 65_000, f"Mon, 01 Jan {'9' * 30} 0:0:0"])
def test_no_date(date: str) -> None:
    """Anything that is not a date makes its condition void."""
    assert (status(If_Unmodified_Since=date), status(If_Modified_Since=date)) == (200, 200)


def test_tags_come_before_dates() -> None:
    """A condition on tags makes the one on dates void."""
    assert status(If_Match=f'"{TAG}"', If_Unmodified_Since=BEFORE) == 200
    assert status(If_None_Match='"a"', If_Modified_Since=AFTER) == 200


def test_match_comes_before_none_match() -> None:
    """If-Match is evaluated first: a 412 says more than a 304."""
    assert status(If_Match='"a"', If_None_Match=f'"{TAG}"') == 412
    assert status(If_Unmodified_Since=BEFORE, If_None_Match=f'"{TAG}"') == 412


@pytest.mark.parametrize("header", ["If_Match", "If_None_Match"])
def test_as_many_tags_as_are_parsed(header: str) -> None:
    """Tags up to the documented length are compared, longer ones match nothing."""
    tags = f'"{TAG}"'.rjust(MAX_TAGS_LENGTH, ",")
    matching, other = (200, 412) if header == "If_Match" else (304, 200)
    assert status(**{header: tags}) == matching
    assert status(**{header: f",{tags}"}) == other


@pytest.mark.parametrize("filler", [" ", "\t", ",", '"', "W/"])
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_long_conditions_take_no_time(header: str, filler: str) -> None:
    """A header as long as servers accept is answered at once, whatever it holds."""
    client = make_client({"id": "a"})
    begin = process_time()
    answer = client.head(PATH, headers={header: f"a{filler * 100_000}b"})
    assert process_time() - begin < 0.5
    assert answer.status_code == (412 if header == "If-Match" else 200)


@pytest.mark.parametrize(
    ("updated_at", "time"),
    [
        ("2026-02-01T12:00:00.999999", TIME),
        ("2026-02-01T12:00:00", TIME),
        ("2026-02-01T13:00:00+01:00", TIME),
        ("0001-01-01T00:00:00", datetime(1, 1, 1, tzinfo=timezone.utc)),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_last_modified(updated_at: str | None, time: datetime | None) -> None:
    """Last-Modified is the time in UTC, to the second; there is none that UTC cannot express."""
    assert as_last_modified(updated_at) == time


def test_last_modified_is_never_to_come() -> None:
    """A time to come counts as now."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    time = as_last_modified("9999-12-31T23:59:59")
    assert time is not None
    assert now <= time <= datetime.now(timezone.utc)


@pytest.mark.slow
def test_werkzeug_without_parse_etags() -> None:
    """The package runs with a Werkzeug that has no parse_etags, which 3.2 deprecates."""
    program = """
import sys
import flask, werkzeug.http
for name in ("parse_etags", "__getattr__"):  # 3.2 gives it by the latter, with a warning
    vars(werkzeug.http).pop(name, None)
import pytest
files = ["tests/test_http.py", "tests/test_conditional.py"]
sys.exit(pytest.main(["-q", "-m", "core", "-k", "not without_parse_etags", *files]))
"""
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
