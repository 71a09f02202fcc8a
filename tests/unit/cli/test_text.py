from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defer_cli.text import (
    Cell,
    Column,
    bar,
    cut,
    duration,
    one_line,
    relative,
    safe,
    sparkline,
    table,
    width,
    wrapped,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0042, "4.2ms"),
        (0.35, "350ms"),
        (0.9996, "1s"),
        (1.24, "1.2s"),
        (59.96, "1m"),
        (200, "3m 20s"),
        (3_600, "1h"),
        (187_200, "2d 4h"),
        (-5, "-5s"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (timedelta(), "now"),
        (timedelta(seconds=90), "in 1m"),
        (timedelta(days=-2, hours=-5), "2d ago"),
        (timedelta(milliseconds=-400), "now"),
        (timedelta(days=1, seconds=-30), "in 1d"),
        (timedelta(hours=-1, seconds=2), "1h ago"),
        (timedelta(hours=23, minutes=50), "in 23h"),
        (timedelta(minutes=54, seconds=59), "in 54m"),
    ],
)
def test_moments_are_told_from_now(distance: timedelta, text: str) -> None:
    assert relative(NOON + distance, NOON) == text


def test_wide_characters_take_two_columns() -> None:
    assert width("日本") == 4
    assert cut("日本語", 5) == "日本…"
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"


def test_control_characters_cannot_reach_the_screen() -> None:
    assert one_line("a\x1b[31mb\nc\x9b") == "a [31mb c "


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("plain", "plain"),
        ("a\tb", "a\tb"),
        ("\x1b[1;31mred\x1b[0m and \x1b[2Jmore", "red and more"),
        ("\x1b]0;title\x07x\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "xlink"),
        ("\x9b5Aup \x90dcs\x9c.", "up ."),
        ("bell\x07 \x00 \x85 \x7f", "bell\\x07 \\x00 \\x85 \\x7f"),
        ("10%\r 50%\r100%\r", "100%"),
        ("abc\u202edef\u2028", "abc\\u202edef\\u2028"),
        ("\ud800", "\\ud800"),
        ("no-break\xa0space, 日本語", "no-break\xa0space, 日本語"),
        ("\x1b", ""),
        ("\x1b[", ""),
        ("\x1b]unterminated", ""),
    ],
)
def test_what_was_printed_cannot_disturb_a_terminal(printed: str, shown: str) -> None:
    assert safe(printed) == shown


def test_colours_are_kept_where_they_are_wanted_and_end_with_the_line() -> None:
    assert safe("\x1b[31mred", colour=True) == "\x1b[31mred\x1b[0m"
    assert safe("\x1b[31;1mred\x1b[0m \x1b[2J\x1b[5A", colour=True) == "\x1b[31;1mred\x1b[0m \x1b[0m"
    assert safe("plain\xa0", colour=True) == "plain\xa0"


@given(st.text(st.one_of(st.sampled_from("\x1b[]0;m\x9b\x07\r\n\\ "), st.characters())))
def test_no_control_character_is_left_but_the_tab(text: str) -> None:
    left = safe(text).replace("\t", "")
    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in left)


def test_a_megabyte_is_made_harmless_quickly() -> None:
    for text in ("x" * 1_000_000, "\x1b[31mx" * 150_000, "\x1b[" + "0" * 1_000_000, "é" * 1_000_000):
        begun = time.process_time()
        safe(text)
        assert time.process_time() - begun < 3


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("one two three", None, ["one two three"]),
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 3, ["one", "two", "thr", "ee"]),
        ("abcdefgh ij", 4, ["abcd", "efgh", "ij"]),
        ("日本語 日本", 5, ["日本", "語", "日本"]),
        ("", 4, [""]),
    ],
)
def test_long_lines_break_between_words(text: str, columns: int | None, lines: list[str]) -> None:
    assert wrapped(text, columns) == lines


@given(st.text(), st.integers(2, 30))
def test_no_wrapped_line_is_too_long_and_no_word_is_lost(text: str, columns: int) -> None:
    lines = wrapped(text, columns)
    assert all(width(line) <= columns for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_shares_and_heights_are_drawn() -> None:
    assert bar(0.5, 8) == "████░░░░"
    assert bar(7, 4) == "████"
    assert sparkline([0, 1, 4, 8]) == "▁▂▅█"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""


COLUMNS = (Column(title="ID"), Column(title="NAME", least=4), Column(title="NOTE", rank=1))


def rows(*texts: tuple[str, ...]) -> list[list[Cell]]:
    return [[Cell(text=text) for text in row] for row in texts]


def test_a_table_is_as_wide_as_its_content() -> None:
    assert table(COLUMNS, rows(("1", "long name", "x")), None, colour=False) == [
        "ID  NAME       NOTE",
        "1   long name  x",
    ]


def test_a_narrow_table_shrinks_then_drops_columns() -> None:
    narrow = table(COLUMNS, rows(("1", "long name", "x")), 15, colour=False)
    assert narrow == ["ID  NAME   NOTE", "1   long…  x"]
    assert table(COLUMNS, rows(("1", "long name", "x")), 9, colour=False) == ["ID  NAME", "1   long…"]


@pytest.mark.parametrize("available", range(1, 30))
def test_no_line_is_wider_than_the_terminal(available: int) -> None:
    for line in table(COLUMNS, rows(("12345678", "日本語日本語", "note")), available, colour=False):
        assert width(line) <= available


def test_columns_that_are_empty_everywhere_are_left_out() -> None:
    assert table(COLUMNS, rows(("1", "a", "")), None, colour=False) == ["ID  NAME", "1   a"]


def test_colours_do_not_change_the_layout() -> None:
    coloured = table(
        COLUMNS, [[Cell(text="1", style="red"), Cell(text="a"), Cell(text="b")]], None, colour=True
    )
    assert coloured[1] == "\x1b[31m1\x1b[0m   a     b"


def test_spare_columns_leave_before_another_has_to_shrink() -> None:
    columns = (*COLUMNS, Column(title="SPARE", rank=9, least=5, spare=True))
    row = rows(("1", "long name", "x", "much more"))
    assert table(columns, row, 32, colour=False)[1] == "1   long name  x     much more"
    assert table(columns, row, 26, colour=False)[1] == "1   long name  x     much…"
    assert table(columns, row, 22, colour=False)[1] == "1   long name  x"
    assert table(columns, row, 15, colour=False)[1] == "1   long…  x"


def test_numbers_stand_below_each_other() -> None:
    columns = (Column(title="N", right=True), Column(title="NAME"))
    assert table(columns, rows(("1", "a"), ("1,000", "b")), None, colour=True)[1:] == [
        "    1  a",
        "1,000  b",
    ]


def test_a_table_may_go_without_its_header() -> None:
    assert table(COLUMNS, rows(("1", "a", "")), None, colour=False, header=False) == ["1  a"]
