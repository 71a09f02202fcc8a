from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from defer_cli.text import Cell, Column, cut, duration, one_line, relative, table, width

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
