"""What the web layer is told about the emulator that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class WebSettings:
    project: str  # its name, shown by /health
    version: str
    host: str = "127.0.0.1"  # where the server listens
    token: str | None = None  # optional on loopback only
    allowed_hosts: tuple[str, ...] = ()  # names, beside this machine's own, that clients may call it by
    root: Path | None = None  # of the project, for lines of its source
    max_concurrency: int | None = None
