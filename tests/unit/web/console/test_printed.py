from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from defer_emulator.web.console.printed import BUDGET, LONGEST, SHORTEST, printed


@dataclass(frozen=True)
class Line:
    message: str
    stream: str = "stdout"
    time: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_a_long_line_is_cut_and_says_by_how_much() -> None:
    (line,) = printed([Line("x" * (LONGEST + 5))])
    assert (line.html, line.cut) == ("x" * LONGEST, 5)


def test_lines_keep_their_order_and_their_colours() -> None:
    lines = printed([Line("\x1b[31mred"), Line("plain", "stderr")])
    assert [str(line.html) for line in lines] == ['<span class="ansi-fg-red">red</span>', "plain"]
    assert [line.stream for line in lines] == ["stdout", "stderr"]


def test_what_comes_after_too_much_is_cut_short_and_plain() -> None:
    lines = printed([Line("\x1b[31m<" * 100)] * 500)
    assert sum(len(line.html) for line in lines) < BUDGET + 500 * SHORTEST * 6
    assert "span" in lines[0].html and "span" not in lines[-1].html
    assert lines[-1].cut == 600 - SHORTEST


def test_short_lines_are_whole_however_many_there_are() -> None:
    assert all(line.cut == 0 for line in printed([Line("working on it")] * 5_000))
