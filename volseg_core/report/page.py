"""A self-contained page: style, tables and embedded pictures."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2rem 1rem .2rem 0;vertical-align:top;overflow-wrap:anywhere;"
    "text-align:left}td:first-child{color:#666;white-space:nowrap}img{max-width:100%}"
)


def page(title: str, *parts: str) -> str:
    """Return the document: the title as a heading, then parts that are HTML already."""
    name = html.escape(title)
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        f"<title>volseg: {name}</title><style>{_STYLE}</style><h1>{name}</h1>{''.join(parts)}</html>\n"
    )


def heading(text: str) -> str:
    """Return a heading of a part."""
    return f"<h2>{html.escape(text)}</h2>"


def facts(rows: Mapping[str, str]) -> str:
    """Return a table of names and values, nothing when there are none."""
    return table((), list(rows.items())) if rows else ""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; an empty ``header`` leaves that line out."""
    lines = [_line("th", header)] if header else []
    return f"<table>{''.join([*lines, *(_line('td', row) for row in rows)])}</table>"


def _line(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def picture(title: str, path: Path) -> str:
    """Return a heading and the picture below it, embedded."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"{heading(title)}<img src='data:image/png;base64,{data}' alt=''>"
