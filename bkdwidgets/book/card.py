"""What the book says of itself to those who have not opened it.

Search engines read it, chats that show a link as a card, and whoever took a wrong turn. Each page gets a
title, a description (its first sentences) and the tags of its card. A finished build gets the picture of
those cards, a list of its pages (``sitemap.xml``) and a page for addresses that lead nowhere (``404.html``).
Such things need whole addresses: all follow from the repository's.
"""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes  # type: ignore[import-untyped]

from bkdwidgets.book.addresses import site
from bkdwidgets.core.errors import BkdError

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PICTURE = "book/images/page.png"  # the one of README.md
_CARD = "_static/card.png"
_ROOM = 200
"""Letters of a description that are shown by most who show it."""

_LABEL = re.compile(r"^The claim\.\s+")
_SHORTEST = 40


def description(doctree: nodes.document | None) -> str:
    """Return the first sentences of a page, as many as are shown; empty for a page without any."""
    found = doctree.findall(nodes.paragraph) if doctree is not None else ()
    texts = (_LABEL.sub("", " ".join(paragraph.astext().split())) for paragraph in found)
    text = next((text for text in texts if len(text) >= _SHORTEST), "")
    if len(text) <= _ROOM:
        return text
    sentences = text[:_ROOM].rpartition(". ")[0]
    return f"{sentences}." if len(sentences) >= _SHORTEST else f"{text[:_ROOM].rpartition(' ')[0]} ..."


def tags(base: str, page: str, title: str, description: str, book: str) -> str:
    """Return the tags of a page's head.

    Parameters
    ----------
    base, page : str
        The site's address, with a slash at its end, and the page's below it.
    title, description : str
        The page's title and its description.
    book : str
        The book's title.

    Returns
    -------
    str
        A line a tag.
    """
    named = {
        "og:type": "website" if title == book else "article",
        "og:site_name": book,
        "og:title": title,
        "og:description": description,
        "og:url": f"{base}{page}",
        "og:image": f"{base}{_CARD}",
        "og:image:alt": "A page of the book: a map of attention heads, and a model's answers",
    }
    lines = [f'<meta name="description" content="{html.escape(description)}">'] if description else []
    lines += [
        f'<meta property="{name}" content="{html.escape(text)}">' for name, text in named.items() if text
    ]
    return "\n".join([*lines, '<meta name="twitter:card" content="summary_large_image">'])


def shape(
    app: Sphinx, pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give a page its title and its tags (a Sphinx handler of ``html-page-context``)."""
    book = app.config.html_title or app.config.project
    title = re.sub(r"<[^>]*>", "", context.get("title") or context.get("indextitle") or book)
    context["bkd_title"] = title if html.unescape(title) == book else f"{title} &#8212; {html.escape(book)}"
    base = site(app.config.bkd_address)
    written = tags(base, f"{pagename}.html", html.unescape(title), description(doctree), book)
    context["metatags"] = f"{context.get('metatags', '')}\n{written}"


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write what belongs to the whole site (a Sphinx handler of ``build-finished``)."""
    if error is not None or app.builder.format != "html":
        return
    out, base, book = Path(app.outdir), site(app.config.bkd_address), app.config.html_title
    picture = Path(app.srcdir) / PICTURE
    if not picture.is_file():
        raise BkdError(f"{picture} is missing; links to the book are shown with it")
    shutil.copyfile(picture, out / _CARD)
    listed = "".join(f"<url><loc>{base}{name}.html</loc></url>\n" for name in sorted(app.env.found_docs))
    (out / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{listed}</urlset>\n',
        encoding="utf-8",
    )
    style = (out / "_static" / "plain.css").read_text(encoding="utf-8")
    (out / "404.html").write_text(_lost(base, book, style), encoding="utf-8")
    index, root = out / "index.html", app.env.get_doctree(app.config.root_doc)
    text = index.read_text(encoding="utf-8")
    written = tags(base, "", book, description(root), book)
    if "og:title" not in text:
        index.write_text(text.replace("</head>", f"{written}\n</head>", 1), encoding="utf-8")


def _lost(base: str, book: str, style: str) -> str:
    """Return the page for a wrong address; a host shows it at any depth, so it leans on no other file."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>No such page - {html.escape(book)}</title>\n"
        f'<link rel="icon" href="data:,">\n<style>{style}</style>\n</head>\n<body><main>\n'
        "<h1>No such page</h1>\n<p>The address is wrong, or the page has moved. The book begins at "
        f'<a href="{base}">{html.escape(book)}</a>; its pages have a search.</p>\n</main></body>\n</html>\n'
    )
