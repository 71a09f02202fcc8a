from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defer_emulator.web.console.ansi import ansi_to_html, strip_ansi

PIECES = ["\x1b", "[", "31m", "\x1b[1;31m", "\x1b[0m", "\x9b", "]8;;http://x\x07", "38;5;", "48;2;1;2;3", ";"]
PIECES += ["<", ">", "&", '"', "'", "m", "é", ":", "\x00", "\x07", "\n", "\t", "\ud800", "\u202e", "</span>"]
HOSTILE = st.lists(st.sampled_from(PIECES)).map("".join)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m.", '<span class="ansi-fg-red">red</span>.'),
        ("\x1b[1;92mok", '<span class="ansi-bold ansi-fg-bright-green">ok</span>'),
        ("\x1b[31ma\x1b[39mb", '<span class="ansi-fg-red">a</span>b'),
        ("\x1b[44;33mx\x1b[m", '<span class="ansi-fg-yellow ansi-bg-blue">x</span>'),
        ("\x1b[38;5;196mx", '<span class="ansi-fg-bright-red">x</span>'),
        ("\x1b[38;2;0;0;250mx", '<span class="ansi-fg-bright-blue">x</span>'),
        ("\x1b[3;4;7mx\x1b[23;24;27my", '<span class="ansi-italic ansi-underline ansi-inverse">x</span>y'),
    ],
)
def test_colours_and_weights_become_classes(text: str, html: str) -> None:
    assert str(ansi_to_html(text)) == html


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[2J",
        "\x1b[10;20H",
        "\x1b[?25l",
        "\x1b]0;title\x07",
        "\x1b]8;;javascript:alert(1)\x1b\\",
        "\x1bc",
        "\x9b31m",
        "\x1bP1$r\x1b\\",
        "\x07",
        "\x00",
        "\r",
        "\x7f",
    ],
)
def test_other_control_sequences_disappear(sequence: str) -> None:
    assert strip_ansi(f"a{sequence}b") == "ab"
    assert "a" in ansi_to_html(f"a{sequence}b") and "\x1b" not in ansi_to_html(f"a{sequence}b")


def test_an_unfinished_sequence_hides_no_text() -> None:
    assert strip_ansi("end \x1b[") == "end "
    assert strip_ansi("\x1b]0;never closed\nnext line").endswith("next line")
    assert "kept" in ansi_to_html("\x1b[38;5mkept")


def test_a_line_feed_and_a_tab_stay() -> None:
    assert ansi_to_html("a\n\tb") == "a\n\tb"


@given(HOSTILE)
def test_nothing_that_is_printed_becomes_markup(text: str) -> None:
    html = str(ansi_to_html(text))
    rest = re.sub(r'<span class="ansi-[a-z -]+">|</span>', "", html)
    assert "<" not in rest and ">" not in rest and '"' not in rest
    assert html.count("<span ") == html.count("</span>")
    assert "\x1b" not in html and "\x9b" not in html and "\x00" not in html


def test_a_megabyte_of_escapes_is_read_in_linear_time() -> None:
    for text in ("\x1b[" * 200_000, "\x1b]" * 200_000, "\x1b[" + "1;" * 300_000 + "m", "\x1b[31mx" * 50_000):
        assert len(ansi_to_html(text)) < 4_000_000
