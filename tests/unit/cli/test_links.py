"""Links to files, for terminals that open them."""

from __future__ import annotations

from pathlib import Path

import pytest

from defer_cli.links import link, supports_links


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM_PROGRAM": "iTerm.app"},
        {"TERM_PROGRAM": "WezTerm"},
        {"TERM": "xterm-kitty"},
        {"VTE_VERSION": "6800", "TERM": "xterm-256color"},
        {"KONSOLE_VERSION": "230400"},
        {"WT_SESSION": "x"},
        {"FORCE_HYPERLINK": "1"},
    ],
)
def test_terminals_that_open_links_get_them(environment: dict[str, str]) -> None:
    assert supports_links(environment)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TERM": "xterm-256color"},
        {"TERM": "dumb"},
        {"TERM_PROGRAM": "vscode"},
        {"VTE_VERSION": "3409"},
        {"VTE_VERSION": "6800", "TERM": "screen-256color"},
        {"VTE_VERSION": "6800", "TERM": "tmux-256color", "TMUX": "/tmp/tmux"},
        {"FORCE_HYPERLINK": "0", "TERM": "xterm-kitty"},
    ],
)
def test_others_find_file_and_line_themselves(environment: dict[str, str]) -> None:
    assert not supports_links(environment)


def test_a_link_names_the_host_the_file_and_the_line() -> None:
    text = link("defer/a b.py:7", Path("/app/defer/a b.py"), 7)
    assert text.startswith("\x1b]8;;file://")
    assert "/app/defer/a%20b.py#7\x1b\\defer/a b.py:7\x1b]8;;\x1b\\" in text
