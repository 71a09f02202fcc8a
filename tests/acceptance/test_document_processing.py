"""`examples/document_processing`, as its README says to run it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.documents import blocks, missing
from tests.examples import ExampleProject, free_port, served
from tests.projects import eventually

pytestmark = pytest.mark.acceptance


@contextmanager
def document_processing(root: Path) -> Iterator[tuple[ExampleProject, httpx.Client]]:
    """The emulator and the web application, both running."""
    project = ExampleProject("document_processing", root)
    with (
        project.dev("--port", "0") as dev,
        served(root, "documents.web:app", free_port()) as client,
    ):
        dev.ready()
        yield project, client


def add(client: httpx.Client, user: str, name: str) -> str:
    answer = client.post(f"/users/{user}/documents", json={"name": name})
    assert answer.status_code == 202, answer.text
    processing: str = answer.json()["processing"]
    return processing


def listed(client: httpx.Client, user: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/users/{user}/processings", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def page(client: httpx.Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_user_sees_only_their_own_processings_page_by_page(tmp_path: Path) -> None:
    with document_processing(tmp_path / "project") as (project, client):
        ours = [add(client, "ada", "report.txt") for _ in range(5)]
        add(client, "bo", "report.txt")
        project.call("document_summarization", "ada", "report.txt")  # no metadata: nobody's
        for processing in ours:
            project.wait_for(processing, "succeed")

        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            part = listed(client, "ada", first=2, cursor=cursor)
            found += part["processings"]
            cursor = part["cursor"]
            if not part["has_next_page"]:
                break
            add(client, "cy", "report.txt")  # what arrives meanwhile moves nothing

        assert [one["id"] for one in found] == ours[::-1]
        assert {(one["status"], one["type"]) for one in found} == {("succeed", "summarization")}

        first = page(client, "/users/ada?first=2")
        (older,) = re.findall(r'href="([^"]+cursor=[^"]+)"', first)
        second = page(client, older.replace("&amp;", "&"))
        assert [name in second for name in ours] == [False, True, True, False, False]
        assert client.get(f"/users/bo/processings/{ours[0]}").status_code == 404
        assert client.post(f"/users/bo/processings/{ours[0]}/rerun").status_code == 404


def test_a_summary_is_shown(tmp_path: Path) -> None:
    with document_processing(tmp_path / "project") as (project, client):
        processing = add(client, "ada", "report.txt")
        project.wait_for(processing, "succeed")
        shown = page(client, f"/users/ada/processings/{processing}")
    assert "report.txt: summarization" in shown
    assert "the lighthouse works without keepers" in shown or "lighthouse" in shown


def test_a_failed_transcript_shows_its_attempts_and_is_run_again_by_the_button(tmp_path: Path) -> None:
    root = tmp_path / "project"
    with document_processing(root) as (project, client):
        failed = add(client, "ada", "talk.mp4")
        assert project.wait_for(failed, "failed")["metadata"] == {
            "type": "video-transcript",
            "user_id": "ada",
        }
        shown = page(client, f"/users/ada/processings/{failed}")
        assert shown.count("FileNotFoundError: talk.mp4.vtt has not been uploaded") == 3
        assert "Status: failed" in shown

        shutil.copy(root / "later" / "talk.mp4.vtt", root / "uploads" / "ada")
        method, action = re.findall(r'<form method="(\w+)" action="([^"]+)">', shown)[0]
        answer = client.request(method, action)
        assert answer.status_code == 303
        new = answer.headers["location"]

        text = eventually(lambda: "Status: succeed" in (text := page(client, new)) and text, "the rerun ends")
        assert "Good morning. I will talk about lighthouses" in text
        assert "run again" in text
        processings = listed(client, "ada")["processings"]
        assert [(one["id"] == failed, one["status"], one["type"]) for one in processings] == [
            (False, "succeed", "transcript"),
            (True, "failed", "transcript"),
        ]


def test_wrong_requests_are_refused_with_words(tmp_path: Path) -> None:
    with document_processing(tmp_path / "project") as (_, client):
        outside = client.post("/users/ada/documents", json={"name": "../bo/report.txt"})
        assert (outside.status_code, outside.json()["error"]) == (
            400,
            "'../bo/report.txt' is no name of a file",
        )
        assert client.get("/users/ada/processings", params={"cursor": "nonsense"}).status_code == 400
        assert client.get("/users/ada/processings/nonsense").status_code == 404
        assert "Nothing has been processed yet." in page(client, "/users/nobody")


def test_the_readme_shows_what_its_commands_print(tmp_path: Path) -> None:
    root = tmp_path / "project"
    with document_processing(root) as (project, client):
        printed = ""
        for block in list(blocks(root / "README.md"))[3:]:
            if block.language == "sh":
                commands = block.text.replace("http://127.0.0.1:8000", str(client.base_url).rstrip("/"))
                printed = project.shell(commands)
                if block.text.startswith("curl"):
                    for row in project.json("list")["data"]:
                        project.wait_for(row["id"], "succeed", "failed")
                if block.text.startswith("cp "):
                    failed = project.json("show", "@last-failed")["id"]
                    answer = client.post(f"/users/ada/processings/{failed}/rerun")
                    project.wait_for(answer.headers["location"].rpartition("/")[2], "succeed")
            elif block.language == "text":
                lacking = missing(block.text, printed)
                assert not lacking, f"README.md:{block.line}: not printed: {lacking}\n{printed}"
