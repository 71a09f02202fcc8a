"""Links to files for terminals that open them (OSC 8). Others get the plain `file:line`, which many find."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

PROGRAMS = ("iTerm.app", "WezTerm", "ghostty", "Hyper", "rio", "Tabby")  # values of TERM_PROGRAM
TERMS = ("xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm")
VTE = 5_000  # the first version of the library behind GNOME Terminal and others that opens links


def supports_links(environment: Mapping[str, str]) -> bool:
    """Whether the terminal is known to open links. `FORCE_HYPERLINK`, 0 or 1, decides where it is set.

    VS Code and JetBrains are left out: they find a plain `file:line` themselves, and go to the line.
    """
    forced = environment.get("FORCE_HYPERLINK")
    if forced:
        return forced != "0"
    if environment.get("TERM_PROGRAM") in PROGRAMS or "WT_SESSION" in environment:
        return True
    if "TMUX" in environment or environment.get("TERM", "").startswith(("screen", "tmux")):
        return False
    version = environment.get("VTE_VERSION", "")
    return (
        environment.get("TERM", "") in TERMS
        or "KONSOLE_VERSION" in environment
        or (version.isdigit() and int(version) >= VTE)
    )


def link(text: str, file: Path, line: int) -> str:
    """`text` as a link to a line of a file; `file` is absolute."""
    address = f"file://{socket.gethostname()}{quote(str(file))}#{line}"
    return f"\x1b]8;;{address}\x1b\\{text}\x1b]8;;\x1b\\"
