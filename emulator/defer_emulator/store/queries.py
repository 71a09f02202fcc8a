"""The statements of `queries.sql` by their names."""

from __future__ import annotations

import re
from pathlib import Path

_MARK = "-- name: "
_REFERENCE = re.compile(r"\$(\w+)")


def load_queries(text: str) -> dict[str, str]:
    """Split a file of statements, each under a line `-- name: some_name`.

    `$name` in a statement stands for an earlier one: for lists of columns that many share.

    >>> load_queries("-- name: one\\nSELECT 1;\\n")
    {'one': 'SELECT 1'}
    """
    queries: dict[str, str] = {}
    for part in ("\n" + text).split("\n" + _MARK)[1:]:
        name, _, body = part.partition("\n")
        if name in queries:
            raise ValueError(f"two queries are named {name}")
        body = _REFERENCE.sub(lambda found: queries[found[1]], body)
        queries[name] = body.rpartition(";")[0].strip()
    return queries


SQL = load_queries(Path(__file__).with_name("queries.sql").read_text(encoding="utf-8"))
