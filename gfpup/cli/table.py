"""Tables on stdout: rows of cells under headings."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print `rows`; a heading that ends in "#" is that of numbers, which end below one another. The last column folds first."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        justify, last = "right" if heading.endswith("#") else "left", heading == headings[-1]
        table.add_column(heading.rstrip("#"), justify=justify, overflow="fold", no_wrap=not last)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*map(escape, row))
    if table.row_count:
        Console(width=None if sys.stdout.isatty() else 140).print(table)
