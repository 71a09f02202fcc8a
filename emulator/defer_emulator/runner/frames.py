"""The frames between a pool and its children, and how they are written: see docs/worker-protocol.md.

A frame is a JSON object in UTF-8, preceded by its length as four bytes, big end first. Its field `type`
names one of the classes below; the other fields are theirs. Standard library only: the children import
this module too.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

VERSION = 2
"""Of the protocol. A child says it in its first frame; the pool refuses another one."""

MAX_FRAME = 1 << 30  # bytes: a length beyond this is not ours

# Where a worker takes its jobs from, each message is a `Run` without its length. Elsewhere than on Linux
# there is no stream socket that keeps the borders of messages.
QUEUE_KIND = socket.SOCK_SEQPACKET if sys.platform.startswith("linux") else socket.SOCK_DGRAM
LONGEST_JOB = 32 * 1024  # bytes of a message
ON_CHANNEL = b"+"  # the message instead of a longer one, which comes through the worker's channel

JsonObject = dict[str, Any]


class ProtocolError(Exception):
    """What came through a channel is not a frame of this version."""


# --- pool → fork server -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Fork:
    """Fork a child. With it travel three descriptors: its channel, its stdout, its stderr; for a worker a
    fourth: where it takes its jobs from.

    The base forks a generation; a generation forks a worker.
    """

    number: int  # names the child from now on; never used twice


@dataclass(frozen=True, kw_only=True, slots=True)
class Spawn:
    """Start a worker in a fresh interpreter. With it travel the four descriptors of one."""

    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """End a child, and every process that it leaves behind. `Exited` follows."""

    number: int


# --- fork server → pool -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Forked:
    number: int
    pid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ForkFailed:
    number: int
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Exited:
    """A child is gone, and with it every process that it had started."""

    number: int
    status: int  # as `os.waitstatus_to_exitcode` gives it: negative for a signal


# --- pool → generation, or → spawned worker ---------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What to run, and where. A generation imports all of `modules` and answers `Described`."""

    root: str
    import_paths: list[str]
    env: dict[str, str]
    setup: str | None  # "module:function"
    after_fork: str | None
    modules: list[list[str]]  # [module, file relative to the root, function]


# --- generation → pool ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Importing:
    """The next import begins: whoever hangs or dies in it is known by its file."""

    file: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """What importing showed. `Fork` is understood from now on."""

    functions: list[JsonObject]  # the fields of a `FunctionSpec`
    problems: list[JsonObject]  # file, line, message, traceback
    modules: list[str]  # files of the project that were imported, absolute
    unforkable: str | None  # why no worker may be forked from here
    python: str  # the interpreter's version, such as "3.12.1"


# --- pool → worker ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Run one attempt. The worker answers `Returned` or `Raised`, and only then begins another."""

    execution_id: str
    attempt: int
    function: str
    module: str
    arguments: str  # JSON text: {"positional": [...], "keyword": {...}}
    token: str  # goes into the environment as DEFER_EXECUTION_TOKEN
    endpoint: str  # the emulator's own; with the token, DEFER_ENDPOINT and DEFER_TOKEN; "" without HTTP
    mark: str  # to be printed at the end by an attempt that printed something; "": nothing follows it at once
    slow: float  # seconds to wait before the function
    debug_port: int  # wait there for a debugger; 0: do not
    fail: str  # raise an `InjectedFailure` with this message in place of running it; "" to run it


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The answer to a `Request`: a value, or an error as `wire.error_to_json` makes it."""

    request: int
    result: Any
    error: JsonObject | None


# --- worker → pool ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """The worker takes a job."""

    version: int
    pid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """The running attempt asks its backend: a method of `Backend`, its arguments as `wire` writes them."""

    request: int
    method: str
    params: JsonObject


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelRequest:
    """Nobody waits for that answer any more."""

    request: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Returned:
    result: str  # JSON text
    seconds: float  # that it ran
    marked: bool  # the mark was printed
    notes: list[str]  # what it left behind, in words for its log
    leaving: bool  # the worker takes no other job and exits


@dataclass(frozen=True, kw_only=True, slots=True)
class Raised:
    failure: JsonObject  # as `wire.failure_to_json` writes it
    seconds: float
    marked: bool
    notes: list[str]
    leaving: bool


Frame = (
    Fork
    | Spawn
    | Kill
    | Forked
    | ForkFailed
    | Exited
    | Load
    | Importing
    | Described
    | Run
    | Answer
    | Ready
    | Request
    | CancelRequest
    | Returned
    | Raised
)

_NAMES: dict[type[Any], str] = {
    Fork: "fork",
    Spawn: "spawn",
    Kill: "kill",
    Forked: "forked",
    ForkFailed: "fork_failed",
    Exited: "exited",
    Load: "load",
    Importing: "importing",
    Described: "described",
    Run: "run",
    Answer: "answer",
    Ready: "ready",
    Request: "request",
    CancelRequest: "cancel_request",
    Returned: "returned",
    Raised: "raised",
}
_CLASSES = {name: kind for kind, name in _NAMES.items()}
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in _NAMES}

_write = json.JSONEncoder(separators=(",", ":")).encode
_read = json.JSONDecoder().decode


def encode(frame: Frame) -> bytes:
    """The bytes of a frame, its length before it."""
    payload = packet(frame)
    return len(payload).to_bytes(4, "big") + payload


def packet(frame: Frame) -> bytes:
    """The bytes of a frame without its length, for a socket that keeps the borders of what is sent."""
    kind = type(frame)
    data: JsonObject = {"type": _NAMES[kind]}
    for name in _FIELDS[kind]:
        data[name] = getattr(frame, name)
    return _write(data).encode()


def decode(payload: bytes) -> Frame:
    """A frame without its length. Raises `ProtocolError`."""
    try:
        data = _read(payload.decode())
        frame: Frame = _CLASSES[data.pop("type")](**data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"not a frame of version {VERSION}: {payload[:100]!r} ({error})") from None
    return frame


class Decoder:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises `ProtocolError`."""
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if length > MAX_FRAME:
                raise ProtocolError(f"a frame of {length} bytes")
            if len(self._buffer) < 4 + length:
                return
            payload = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            yield decode(payload)
