import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from defer.document_summarization import document_summarization
from defer.video_transcript import video_transcript
from defer_emulator.testing import Emulator
from documents.captions import spoken_text
from documents.summary import summary
from documents.uploads import upload_path
from documents.web import app

CAPTIONS = "WEBVTT\n\nNOTE not spoken\n\n1\n00:00.000 --> 00:01.000\n<v Ada>Hello\nthere.\n"


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "ada"
    folder.mkdir()
    monkeypatch.setenv("UPLOADS", str(tmp_path))
    yield folder


def test_captions_become_what_is_said() -> None:
    assert spoken_text(CAPTIONS) == "Hello there."
    assert spoken_text(CAPTIONS.replace("\n", "\r\n")) == "Hello there."


def test_what_is_no_captions_is_refused() -> None:
    with pytest.raises(ValueError, match="WEBVTT"):
        spoken_text("1\n00:00.000 --> 00:01.000\nHello")


def test_a_summary_keeps_the_order_of_the_text() -> None:
    text = "Rivers flow. Rivers flow into lakes. Cats sleep. Lakes and rivers freeze."
    assert summary(text, 2) == "Rivers flow. Rivers flow into lakes."


def test_an_empty_document_has_no_summary() -> None:
    with pytest.raises(ValueError, match="empty"):
        summary(" \n", 2)


@pytest.mark.parametrize("name", ["../bo/secret.txt", "/etc/passwd", "..", ".hidden"])
def test_a_name_does_not_lead_out_of_the_users_folder(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a file"):
        upload_path("ada", name)


def test_a_video_without_captions_fails_until_they_arrive(uploads: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has not been uploaded"):
        asyncio.run(video_transcript.local("ada", "talk.mp4"))
    (uploads / "talk.mp4.vtt").write_text(CAPTIONS)
    assert asyncio.run(video_transcript.local("ada", "talk.mp4")) == "Hello there."


def test_a_document_is_summarized(uploads: Path) -> None:
    (uploads / "notes.txt").write_text("One sentence about sentences. Another.")
    result = asyncio.run(document_summarization.local("ada", "notes.txt", sentences=1))
    assert result == "One sentence about sentences."


# --- the background functions, on a clock that the tests move ---------------------------------------


def test_a_transcript_is_tried_again_until_the_captions_arrive(
    uploads: Path, defer_emulator: Emulator
) -> None:
    video_transcript.enqueue("ada", "talk.mp4")
    defer_emulator.run_until_idle()
    assert "has not been uploaded" in defer_emulator.last(video_transcript).error.message

    (uploads / "talk.mp4.vtt").write_text(CAPTIONS)
    defer_emulator.advance_to_next()

    record = defer_emulator.assert_succeeded(video_transcript)
    assert (record.attempt, record.result) == (2, "Hello there.")
    assert [line.message for line in record.logs] == ["talk.mp4: 2 words"]


@pytest.mark.defer(allow="failed")
def test_without_captions_it_fails_after_two_more_tries(defer_emulator: Emulator) -> None:
    video_transcript.enqueue("ada", "talk.mp4")
    defer_emulator.advance("1 hour")
    assert [attempt.state for attempt in defer_emulator.assert_failed(video_transcript).attempts] == 3 * [
        "failed"
    ]


def test_the_pages_show_only_the_users_own_processings_and_run_them_again(
    uploads: Path, defer_emulator: Emulator
) -> None:
    (uploads / "notes.txt").write_text("One sentence about sentences. Another.")
    client = TestClient(app)
    started = client.post("/users/ada/documents", json={"name": "notes.txt"}).json()
    defer_emulator.run_until_idle()

    (listed,) = client.get("/users/ada/processings").json()["processings"]
    assert (listed["id"], listed["status"]) == (started["processing"], "succeed")
    page = f"/processings/{started['processing']}"
    assert "One sentence about sentences." in client.get(f"/users/ada{page}").text
    assert client.get(f"/users/bo{page}").status_code == 404
    assert client.get("/users/bo/processings").json()["processings"] == []

    client.post(f"/users/ada{page}/rerun", follow_redirects=False)
    defer_emulator.run_until_idle()
    first, second = defer_emulator.executions(document_summarization, "succeed")
    assert second.rerun_of == first.id
