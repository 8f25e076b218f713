"""A bad query, and the reference's error page for it, as text, HTML or JSON."""

from __future__ import annotations

import json
from html import escape

_TITLE = "Bad Request"
_STATUS = f"400 {_TITLE}"

MALFORMED = (
    "The server could not comply with the request since it is either malformed or otherwise "
    "incorrect."
)


class BadQuery(Exception):
    """A query that the reference answers with 400.

    :param explanation: The explanation on the error page.
    :param detail: What is wrong with the query, if the explanation is a general one.
    :param reason: What is wrong with the query, if the explanation is a page that says it.
    """

    def __init__(self, explanation: str, detail: str = "", reason: str = "") -> None:
        super().__init__(reason or detail or explanation)
        self.explanation = explanation
        self.detail = detail

    @classmethod
    def of_second_server(cls, explanation: str, detail: str = "") -> BadQuery:
        """Return an error of the reference's second server, whose page the first server quotes."""
        return cls(_plain_page(explanation, detail), reason=detail or explanation)


def make_page(error: BadQuery, accept: str | None) -> tuple[str, bytes]:
    """Return the content type and the body of an error page.

    :param accept: ``text/html`` or ``application/json``; None for plain text.
    """
    if accept == "application/json":
        message = _message(error.explanation, error.detail)
        page = json.dumps({"message": message, "code": _STATUS, "title": _TITLE})
        return "application/json", page.encode("ascii")
    if accept == "text/html":
        message = _message(escape(error.explanation), escape(error.detail))
        page = (
            f"<html>\n <head>\n  <title>{_STATUS}</title>\n </head>\n <body>\n"
            f"  <h1>{_STATUS}</h1>\n  {message}\n </body>\n</html>"
        )
        return "text/html; charset=UTF-8", page.encode("utf-8")
    page = _plain_page(*(text.replace("\n", " ") for text in (error.explanation, error.detail)))
    return "text/plain; charset=UTF-8", page.encode("utf-8")


def _message(explanation: str, detail: str) -> str:
    return f"{explanation}<br /><br />\n{detail}\n\n"


def _plain_page(explanation: str, detail: str) -> str:
    return f"{_STATUS}\n\n{explanation}\n\n {detail}  "
