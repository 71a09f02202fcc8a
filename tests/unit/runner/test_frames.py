from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defer_emulator.runner import frames
from defer_emulator.runner.frames import Answer, Decoder, Fork, Forked, ProtocolError, Request, decode, encode


def test_frame_is_a_json_object_after_its_length() -> None:
    data = encode(Forked(number=3, pid=4))
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    assert json.loads(data[4:]) == {"type": "forked", "number": 3, "pid": 4}


@given(st.lists(st.text()), st.integers(1, 20))
def test_frames_survive_any_cut_of_the_stream(texts: list[str], step: int) -> None:
    sent = [Request(request=n, method="enqueue", params={"text": text}) for n, text in enumerate(texts)]
    stream = b"".join(encode(frame) for frame in sent)
    decoder = Decoder()
    cuts = range(0, len(stream), step)
    assert [frame for cut in cuts for frame in decoder.feed(stream[cut : cut + step])] == sent


def test_text_that_is_no_unicode_travels() -> None:
    frame = Answer(request=1, result="\ud800", error=None)
    assert decode(encode(frame)[4:]) == frame


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"\xff",
        b"{}",
        b'{"type": "nothing"}',
        b'{"type": "fork"}',
        b'{"type": "fork", "x": 1}',
    ],
)
def test_what_is_no_frame_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(payload)


def test_length_that_cannot_be_ours_is_refused() -> None:
    with pytest.raises(ProtocolError):
        list(Decoder().feed(b"HTTP/1.1"))


def test_every_frame_is_documented() -> None:
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs" / "worker-protocol.md").read_text()
    assert [name for name in frames._CLASSES if f"`{name}`" not in text] == []
    assert Fork in frames._NAMES
