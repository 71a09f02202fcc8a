"""The project's file becomes smaller when less is in it.

SQLite keeps the pages that are free, for what is stored next. It gives them back bit by bit only in a file
that knows of each page who refers to it; a file is rewritten once to get there. Writers pay for that
knowledge, some per cent, so a file is like this only where it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

from defer_emulator.store.store import Store

_REWRITE = "PRAGMA temp_store = FILE; VACUUM; PRAGMA temp_store = MEMORY"  # its copy may be large
_INCREMENTAL = 2  # of `PRAGMA auto_vacuum`
PAGES_AT_ONCE = 64  # that one step gives back: about 1 ms


def file_size(store: Store) -> int:
    """Bytes of the project's file and of its log."""
    path = store.database.path
    files = () if path is None else (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def free_size(store: Store) -> int:
    """Bytes of the file that hold nothing."""
    return _pragma(store, "freelist_count") * _pragma(store, "page_size")


def is_shrinkable(store: Store) -> bool:
    """Whether the file can give its free pages back bit by bit."""
    return _pragma(store, "auto_vacuum") == _INCREMENTAL


def make_shrinkable(store: Store) -> None:
    """Rewrite the file, once. Nobody can write meanwhile: about a second for 100 MB."""
    store.database.maintain(f"PRAGMA auto_vacuum = INCREMENTAL; {_REWRITE}")
    give_back(store)


def rewrite(store: Store) -> None:
    """Write the file anew without its free pages, as slow as `make_shrinkable`."""
    store.database.maintain(_REWRITE)


def shrink(store: Store) -> Iterator[None]:
    """Give free pages back, some each time that the iterator is asked to go on."""
    while _pragma(store, "freelist_count"):
        store.database.maintain(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")
        yield


def give_back(store: Store) -> bool:
    """Let the operating system have what the file and its log do not need any more, if nobody reads it or
    copies the log now. Whether all of it was given back."""
    is_busy: int = store.database.select("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
    return not is_busy


def _pragma(store: Store, name: str) -> int:
    value: int = store.database.select(f"PRAGMA {name}")[0][0]
    return value
