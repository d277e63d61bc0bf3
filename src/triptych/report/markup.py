"""HTML in which every string is escaped unless it was built here."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from html import escape

DOI = re.compile(r"10\.\d{4,9}/[A-Za-z0-9._;()/:\-]+")
EMPTY = frozenset({"img", "meta", "source", "br"})


class Html(str):
    """Text that is HTML already; only this module's functions make it."""

    __slots__ = ()


def tag(name: str, /, *children: str | Html, **attributes: str | int) -> Html:
    """An element.

    Parameters
    ----------
    name
        Of the element.
    *children
        Its content: `Html` as it is, any other string escaped.
    **attributes
        Escaped; a trailing underscore is dropped and the others become hyphens (``class_``, ``aria_label``).
    """
    keys = ((key.rstrip("_").replace("_", "-"), str(value)) for key, value in attributes.items())
    opened = name + "".join(f' {key}="{escape(value)}"' for key, value in keys)
    return Html(f"<{opened}>") if name in EMPTY else Html(f"<{opened}>{join(children)}</{name}>")


def join(parts: Iterable[str | Html]) -> Html:
    """The parts one after the other, each escaped unless it is HTML."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def table(caption: str | Html, head: Iterable[str | Html], rows: Iterable[Iterable[str | Html]]) -> Html:
    """A table whose first column names the rows, in a box that scrolls sideways.

    A row whose name is ``(mean)`` is set apart.
    """
    columns = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    body = []
    for name, *cells in rows:
        kind = {"class_": "mean"} if name == "(mean)" else {}
        body.append(tag("tr", tag("th", name, scope="row"), *(tag("td", cell) for cell in cells), **kind))
    whole = tag("table", tag("caption", caption), tag("thead", columns), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label=plain(caption))


def plain(text: str | Html) -> str:
    """The text without tags, for a label."""
    return re.sub(r"<[^>]*>", "", text) if isinstance(text, Html) else text


def data_uri(payload: bytes, kind: str) -> str:
    """An image as part of the page; ``kind`` is ``png`` or ``jpeg``."""
    return f"data:image/{kind};base64,{b64encode(payload).decode('ascii')}"


def cited(text: str) -> Html:
    """A citation; what looks like a DOI becomes a link, which loads nothing until it is followed."""
    found = DOI.search(text)
    if not found:
        return join([text])
    doi = found.group().rstrip(".;:")
    start = found.start()
    link = tag("a", doi, href=f"https://doi.org/{doi}", rel="noreferrer noopener")
    return join([text[:start], link, text[start + len(doi) :]])
