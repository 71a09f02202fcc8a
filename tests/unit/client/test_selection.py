from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from defer_client import NoBackendError, defer, defer_enabled
from defer_client.selection import choose, current_backend, find_project, set_worker_backend, use_backend
from tests.unit.client.fakes import FakeBackend

IN_A_TEST = {"PYTEST_CURRENT_TEST": "x"}


@defer
async def nothing() -> None: ...


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "a project with ü"
    (root / ".defer").mkdir(parents=True)
    (root / "src" / "app").mkdir(parents=True)
    monkeypatch.chdir(root / "src" / "app")
    return root


def test_inside_a_worker_calls_go_to_its_emulator(project: Path) -> None:
    worker, asked_for = FakeBackend(), FakeBackend()
    set_worker_backend(worker)
    try:
        with use_backend(asked_for):
            assert current_backend() is worker
            assert defer_enabled()
    finally:
        set_worker_backend(None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_use_the_workers_backend(project: Path) -> None:
    set_worker_backend(FakeBackend())
    try:
        child = os.fork()
        if child == 0:
            try:
                current_backend()
            except NoBackendError:  # here: the rule of pytest
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    finally:
        set_worker_backend(None)


def test_a_call_in_a_test_without_the_fixture_is_refused_and_names_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFER_ENDPOINT", "http://127.0.0.1:3337")
    with pytest.raises(NoBackendError, match="defer_emulator"):
        nothing.enqueue()
    assert not defer_enabled()


def test_a_program_that_a_test_starts_is_not_under_pytest(project: Path) -> None:
    code = "from defer_client.selection import choose; import os; print(choose(os.environ, None).kind)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={**os.environ, **IN_A_TEST},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "local"


def test_the_endpoint_wins_over_the_projects_file(project: Path) -> None:
    choice = choose({"DEFER_ENDPOINT": "http://x:1", "DEFER_TOKEN": "t"}, None)
    assert (choice.kind, choice.endpoint, choice.token) == ("http", "http://x:1", "t")


@pytest.mark.parametrize("asked", ["inline", "local", "http"])
def test_a_backend_that_is_asked_for_wins_even_under_pytest(project: Path, asked: str) -> None:
    environment = {"DEFER_BACKEND": asked, "DEFER_ENDPOINT": "http://x:1", **IN_A_TEST}
    assert choose(environment, None).kind == asked


def test_an_unknown_backend_is_refused(project: Path) -> None:
    with pytest.raises(NoBackendError, match="DEFER_BACKEND=inlin"):
        choose({"DEFER_BACKEND": "inlin"}, None)


def test_http_without_an_endpoint_is_refused(project: Path) -> None:
    with pytest.raises(NoBackendError, match="DEFER_ENDPOINT"):
        choose({"DEFER_BACKEND": "http"}, None)


def test_the_project_is_found_from_the_working_directory_up(project: Path) -> None:
    choice = choose({}, None)
    assert choice.kind == "local"
    assert choice.project is not None
    assert Path(choice.project.root) == project


def test_else_the_project_of_the_called_function_is_found(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    source = str(project / "src" / "app" / "f.py")
    found = find_project(source)
    assert found is not None
    assert Path(found.root) == project
    assert find_project() is None


def test_from_elsewhere_questions_go_where_the_calls_go(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (project / "src" / "app" / "f.py").write_text(
        "from defer_client import defer\n@defer\nasync def f() -> None: ...\n"
    )
    code = (
        "from defer_client import defer_enabled, sync; before = defer_enabled(); from f import f;"
        "print(before, defer_enabled(), sync.get_execution(f.enqueue().id).function_name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env={**os.environ, "PYTHONPATH": str(project / "src" / "app")},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("False True f\n", "")


def test_a_project_that_was_deleted_is_not_found_again(project: Path) -> None:
    before = find_project()
    assert before is not None
    (project / ".defer").rmdir()
    assert find_project() is None
    (project / "src" / ".defer").mkdir()
    after = find_project()
    assert after is not None
    assert Path(after.root) == project / "src"


def test_without_a_project_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoBackendError) as caught:
        choose({}, None)
    assert "defer init" in caught.value.hint
    assert "DEFER_ENDPOINT" in caught.value.hint


def test_a_working_directory_that_is_gone_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert find_project() is None


def test_a_file_named_like_the_folder_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".defer").touch()
    monkeypatch.chdir(tmp_path)
    assert find_project() is None


def test_one_backend_serves_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFER_BACKEND", "inline")
    assert current_backend() is current_backend()
    assert not defer_enabled()


def test_an_endpoint_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFER_BACKEND", "http")
    monkeypatch.setenv("DEFER_ENDPOINT", "localhost:3337")
    with pytest.raises(NoBackendError, match="localhost:3337"):
        nothing.enqueue()


def test_without_httpx_the_error_names_it_and_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFER_BACKEND", "http")
    monkeypatch.setenv("DEFER_ENDPOINT", "http://127.0.0.1:3339")
    monkeypatch.delitem(sys.modules, "defer_client.http", raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(NoBackendError, match="httpx") as caught:
        current_backend()
    assert "DEFER_BACKEND=local" in caught.value.hint
