from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from defer_emulator.runner.output import HEAD, LONGEST_LINE, TAIL, AttemptOutput, LineSplitter


def split(*pieces: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for piece in pieces for line in splitter.feed(piece)] + splitter.finish()


def test_lines_are_cut_at_newlines_only() -> None:
    assert split(b"a\nb\r\n\nc\rd") == ["a", "b", "", "c\rd"]


def test_character_may_arrive_in_two_pieces() -> None:
    data = "ü€\n".encode()
    assert split(data[:1], data[1:3], data[3:]) == ["ü€"]


def test_what_is_no_utf8_is_replaced() -> None:
    assert split(b"a\xffb\n\xe2\x82") == ["a\ufffdb", "\ufffd"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 7))
def test_any_cut_gives_the_same_lines(text: str, step: int) -> None:
    data = text.encode()
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    assert split(*pieces) == split(data)


def test_long_line_becomes_several() -> None:
    lines = split(b"x" * LONGEST_LINE, b"y" * 10 + b"\n", b"end")
    assert [len(line) for line in lines] == [LONGEST_LINE, 10, 3]
    assert [len(line) for line in split(b"z" * (2 * LONGEST_LINE + 1) + b"\n")] == [
        LONGEST_LINE,
        LONGEST_LINE,
        1,
    ]


def test_line_keeps_its_stream_and_its_time() -> None:
    output = AttemptOutput(7, 2)
    chunks = [*output.feed("stdout", b"a\nb", 1), *output.feed("stderr", b"c\n", 2), *output.finish(3)]
    assert [(chunk.stream, chunk.message, chunk.time) for chunk in chunks] == [
        ("stdout", "a", 1),
        ("stderr", "c", 2),
        ("stdout", "b", 3),
    ]
    assert {(chunk.sequence, chunk.attempt) for chunk in chunks} == {(7, 2)}


def test_output_up_to_the_limit_is_whole() -> None:
    output = AttemptOutput(1, 1)
    line = b"x" * 999 + b"\n"
    count = (HEAD + TAIL) // len(line)
    chunks = [chunk for _ in range(count) for chunk in output.feed("stdout", line, 1)]
    chunks += output.finish(2)
    assert [chunk.message for chunk in chunks] == ["x" * 999] * count


def test_middle_of_too_much_output_is_left_out_and_said() -> None:
    output = AttemptOutput(1, 1)
    chunks = output.feed("stdout", b"first\n", 1)
    for _ in range(30):
        chunks += output.feed("stdout", (b"y" * 99 + b"\n") * 10_000, 1)
    chunks += output.feed("stderr", b"last\n", 2)
    chunks += output.finish(3)
    assert (chunks[0].message, chunks[-1].message) == ("first", "last")
    (said,) = [chunk for chunk in chunks if chunk.stream == "system"]
    cut = 30_000_000 + 11 - HEAD - TAIL
    assert f"{cut:,} bytes" in said.message
    assert sum(len(chunk.message) + 1 for chunk in chunks if chunk.stream != "system") <= HEAD + TAIL + 2
