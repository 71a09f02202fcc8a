"""The project's configuration: `[tool.defer]` in `pyproject.toml`, or `defer.toml`. Read once.

The environment sets nothing here: it only fills `$NAME` in the address of `notifications`, so that a secret
need not be in this file (it may be in `.env`). (`DEFER_ENDPOINT` and `DEFER_TOKEN` are the application's, see
`defer_client.selection`.)
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from defer_client.durations import parse_duration
from defer_client.errors import DeferError

Durability = Literal["normal", "full"]
WorkerStart = Literal["fork", "spawn"]

MIN_MEMORY_LIMIT = 16 * 1024**2  # bytes; an idle Python with asyncio needs about this much
UNITS = {
    unit: factor
    for power, letter in enumerate("kmgt", start=1)
    for unit, factor in (
        (letter, 1024**power),
        (f"{letter}ib", 1024**power),
        (f"{letter}b", 1000**power),
    )
} | {"": 1, "b": 1}


class ConfigError(DeferError):
    """The configuration cannot be used: a broken file, an unknown key, a wrong value.

    `file` and `line` (from 1) say where; None where that is unknown.
    """

    code = "config"

    def __init__(self, message: str, *, file: Path, line: int | None = None, hint: str = "") -> None:
        place = f"{file.name}:{line}" if line else file.name
        super().__init__(f"{place}: {message}", hint=hint)
        self.file = file
        self.line = line


ENV_FILE = ".env"
NOTIFIED = ("failed", "handled", "missed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Notifications:
    """Where failures are reported, and which."""

    url: str | None = field(default=None, repr=False)  # a Slack incoming webhook or any other: a secret
    missing: tuple[str, ...] = ()  # names of the environment that the address needs and that are not set
    format: Literal["slack", "json"] | None = None  # None: by the address
    events: tuple[str, ...] = NOTIFIED
    link: str | None = None  # the address of the console, as those see it who get the message


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """What is kept of finished executions: so long, or so much. Both None: everything."""

    age: timedelta | None = None
    size: int | None = None  # bytes of the project's file


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The settings of a project. The names of the fields are the keys of the file."""

    folders: tuple[str, ...] = ()  # relative to the root; empty: the one folder named `defer`
    host: str = "127.0.0.1"
    port: int | None = None  # None: 3337 or the next free one. A given port that is taken is an error
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    max_concurrency: int = 100
    memory_limit: int | None = None  # bytes, of one execution
    durability: Durability = "normal"
    retention: Retention = Retention()
    python: str | None = None  # the interpreter of the workers
    env_file: str = ENV_FILE  # relative to the root
    worker_start: WorkerStart = "spawn" if sys.platform == "darwin" else "fork"
    setup: str | None = None  # "module:function", run before the project's functions are imported
    after_fork: str | None = None  # "module:function", run in each new worker process
    notifications: Notifications = Notifications()

    @classmethod
    def load(cls, root: Path, environ: Mapping[str, str]) -> Config:
        """Read the configuration of the project at `root`; the defaults where it has none.

        Raises `ConfigError`.
        """
        files = (root / "defer.toml", root / "pyproject.toml")
        settings = {file: table for file in files if (table := _read(file))}
        if len(settings) > 1:
            raise ConfigError(
                "settings of defer are in both defer.toml and pyproject.toml ([tool.defer])",
                file=files[0],
                hint="move all of them to one of the two files",
            )
        for file, table in settings.items():
            if "notifications" in table:
                environ = _with_env_file(root, table, environ)
            return cls(**{key: _value(file, key, value, environ) for key, value in table.items()})
        return cls()


def parse_size(text: str) -> int:
    """Bytes from a text such as "512 MiB", "1.5GB" or "64k". Raises `ValueError`.

    K, M, G and T alone are powers of 1024, as with KiB; KB and so on are powers of 1000.

    >>> parse_size("512 MiB") // 1024
    524288
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if not match or match[2].lower() not in UNITS or len(match[1]) > 20:
        raise ValueError(f"not a size: {text!r}")
    return int(float(match[1]) * UNITS[match[2].lower()])


# --- files ----------------------------------------------------------------------------------


def _read(file: Path) -> dict[str, Any]:
    """The table of settings in a file; empty where there is none. Raises `ConfigError`."""
    try:
        raw = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file) from None
    in_pyproject = file.name == "pyproject.toml"
    data = parse_toml(file, raw)
    if not in_pyproject:
        return data
    tools = data.get("tool", {})
    table = tools.get("defer", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(
            f"tool.defer must be a table, not {_describe(table)}", file=file, line=_line(file, "defer")
        )
    return table


def parse_toml(file: Path, raw: bytes) -> dict[str, Any]:
    """What a TOML file holds. Raises `ConfigError`, which names the line."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

    try:
        data: dict[str, Any] = tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError("not valid UTF-8", file=file, line=line) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = re.search(r"\s*\(at line (\d+), column (\d+)\)$", str(error))
        reason = str(error)[: place.start()] if place else str(error)
        at = f", at column {place[2]}" if place else ""
        raise ConfigError(
            f"not valid TOML: {reason}{at}", file=file, line=int(place[1]) if place else None
        ) from None
    return data


def _line(file: Path, key: str) -> int | None:
    """Where `key` of our table stands, as far as a look at the lines can tell."""
    in_pyproject = file.name == "pyproject.toml"
    ours = not in_pyproject
    name = rf"[\"']?{re.escape(key)}[\"']?"
    for number, line in enumerate(file.read_text("utf-8-sig", "replace").splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([^\]]*?)\s*\]", line)
        if header:
            dotted = re.sub(r"[\s\"']", "", header[1])
            prefix = "tool.defer" if in_pyproject else ""
            ours = dotted == prefix
            if dotted in (f"{prefix}.{key}".lstrip("."), f"tool.{key}"):
                return number
        elif (ours and re.match(rf"\s*{name}\s*[=.]", line)) or re.match(
            rf"\s*(tool\s*\.)?\s*defer\s*(\.|=.*?[{{,])\s*{name}\s*=", line
        ):
            return number
    return None


# --- values ---------------------------------------------------------------------------------


def _value(file: Path, key: str, value: object, environ: Mapping[str, str]) -> Any:
    check = CHECKS.get(key)
    if check is None:
        raise ConfigError(
            f"unknown key {key!r}", file=file, line=_line(file, key), hint=_did_you_mean(file, key)
        )
    try:
        return check(value, environ) if check is _notifications else check(value)
    except ValueError as error:
        raise ConfigError(
            f"{key} must be {error}, not {_describe(value)}", file=file, line=_line(file, key)
        ) from None


def _did_you_mean(file: Path, key: str) -> str:
    from difflib import get_close_matches

    if file.name == "defer.toml" and key in ("tool", "defer"):
        return "in defer.toml the keys stand at the top, without a section"
    close = get_close_matches(key.lower().replace("-", "_"), CHECKS, n=1)
    return f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(CHECKS)}"


def _describe(value: object) -> str:
    names = {dict: "a table", list: "an array", bool: "a boolean", int: "an integer", float: "a number"}
    text = str(value).lower() if isinstance(value, bool) else f"{value!r}"
    text = re.sub(r"://[^'\"]+", "://...", text)  # an address may be a secret
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return f"{shown} ({names.get(type(value), 'a string' if isinstance(value, str) else 'a date or time')})"


def _text(value: object) -> str:
    if isinstance(value, str) and value.strip() and value.isprintable():
        return value
    raise ValueError("a text")


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        try:
            return tuple(_text(item) for item in value)
        except ValueError:
            pass
    raise ValueError("an array of texts")


def _integer(low: int, high: float) -> Callable[[object], int]:
    def check(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError(
            f"an integer from {low} to {high}" if high < math.inf else f"an integer of {low} or more"
        )

    return check


def _choice(*names: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if isinstance(value, str) and value in names:
            return value
        raise ValueError(" or ".join(f'"{name}"' for name in names))

    return check


def _reference(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*", value):
        return value
    raise ValueError('"module:function"')


def _memory_limit(value: object) -> int:
    try:
        size = parse_size(value) if isinstance(value, str) else value
    except ValueError:
        size = None
    if isinstance(size, int) and not isinstance(size, bool) and size >= MIN_MEMORY_LIMIT:
        return size
    raise ValueError('bytes or a text such as "512 MiB", at least 16 MiB')


def _retention(value: object) -> Retention:
    if isinstance(value, str) and any(map(str.isalpha, value)):  # "7" would mean seconds
        with suppress(ValueError):
            if age := parse_duration(value):
                return Retention(age=age)
        with suppress(ValueError):
            if size := parse_size(value):
                return Retention(size=size)
    raise ValueError('a duration such as "7 days" or a size such as "500 MiB"')


_NOTIFICATION_KEYS = {"url", "format", "events", "link"}
_REFERENCE = re.compile(r"\$\{(\w+)\}|\$(\w+)|^env:(\w+)$")


def _with_env_file(root: Path, table: Mapping[str, Any], environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, and what the project's `.env` adds to it."""
    from dotenv import dotenv_values

    name = table.get("env_file")
    values = dotenv_values(root / (name if isinstance(name, str) else ENV_FILE))
    return {name: value for name, value in values.items() if value is not None} | dict(environ)


def _notifications(value: object, environ: Mapping[str, str]) -> Notifications:
    """`$NAME`, `${NAME}` and `env:NAME` come from the environment; without them, nothing can be sent."""
    table = value if isinstance(value, dict) else {"url": value}
    url = table.get("url")
    is_known = set(table) <= _NOTIFICATION_KEYS
    if not (is_known and isinstance(url, str) and re.match(r"https?://[^\s/]\S*$|\$\S*$|env:\w+$", url)):
        raise ValueError(
            'an address such as "https://hooks.slack.com/..." or "env:SLACK_URL", or a table of'
            f" {', '.join(sorted(_NOTIFICATION_KEYS))}"
        )
    names = [name for found in _REFERENCE.findall(url) for name in found if name]
    missing = tuple(name for name in names if not environ.get(name))
    whole = None if missing else _REFERENCE.sub(lambda found: environ[found[found.lastindex or 0]], url)
    format, events, link = table.get("format"), table.get("events", list(NOTIFIED)), table.get("link")
    if format not in (None, "slack", "json"):
        raise ValueError('a table whose format is "slack" or "json"')
    if not isinstance(events, list) or not events or any(event not in NOTIFIED for event in events):
        raise ValueError(f"a table whose events are some of {', '.join(NOTIFIED)}")
    if link is not None and not (isinstance(link, str) and re.match(r"https?://[^\s/]\S*$", link)):
        raise ValueError("a table whose link is the address of the console")
    return Notifications(url=whole, missing=missing, format=format, events=tuple(events), link=link)


CHECKS: dict[str, Callable[..., Any]] = {
    "folders": _texts,
    "host": _text,
    "port": _integer(0, 65_535),
    "token": _text,
    "allowed_hosts": _texts,
    "max_concurrency": _integer(1, math.inf),
    "memory_limit": _memory_limit,
    "durability": _choice("normal", "full"),
    "retention": _retention,
    "python": _text,
    "env_file": _text,
    "worker_start": _choice("fork", "spawn"),
    "setup": _reference,
    "after_fork": _reference,
    "notifications": _notifications,
}
