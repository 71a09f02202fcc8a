"""The installed `defer` in a pipe, against the file of a project and with no emulator alive."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from defer_client.models import Arguments, Call, ErrorCode, Failure, State
from defer_client.sync import run as wait_for
from defer_emulator.backend import open_backend
from defer_emulator.domain.functions import FunctionSpec, Parameter
from defer_emulator.domain.work import Completion, Limits, LogChunk
from defer_emulator.store.store import Store
from tests.projects import DEFER, TempProject, defer

pytestmark = pytest.mark.acceptance

GREET = "async def greet(name: str, *, loud: bool = False) -> str: ..."
ADD = "async def add(a: int, b: int) -> int: ..."
CRON = """
    from defer_client import defer

    @defer.cron("0 8 * * MON")
    async def report() -> None: ...
"""
FIELDS = {
    "id", "state", "function_name", "function_id", "scheduled_at", "created_at", "updated_at", "started_at",
    "finished_at", "error_code", "executed_by", "rerun_of", "attempt", "metadata",
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    return TempProject(tmp_path / "shop", {"greet": GREET, "add": ADD, "report": CRON})


def play(project: TempProject, **ends: object) -> None:
    """Run everything that is due of `greet` and `add`, as a scheduler would. `ends`: a function's end."""
    store = Store.open(project.root)
    specs = [
        FunctionSpec(
            name=name,
            module=f"defer.{name}",
            file=f"defer/{name}.py",
            line=1,
            kind="background",
            parameters=(Parameter(name="name", kind="positional_or_keyword", required=True),),
        )
        for name in ("greet", "add")
    ]
    with store.write() as tx:
        tx.register(specs, {})
        claim = tx.claim({name: Limits(concurrency=None, action="keep") for name in ("greet", "add")}, 100, 1)
        tx.append_logs(
            [
                LogChunk(sequence=one.sequence, attempt=1, time=tx.now, stream="stdout", message="working")
                for one in claim.started
            ]
        )
        tx.settle([_completion(one, ends.get(one.function, "done")) for one in claim.started])
    store.close()


def _completion(running: Any, end: object) -> Completion:
    if end is None:
        failure = Failure(name="ValueError", message="boom", stack="Traceback: ...", code=ErrorCode.USER)
        return Completion(
            sequence=running.sequence, attempt=running.attempt, state=State.FAILED, failure=failure
        )
    return Completion(
        sequence=running.sequence, attempt=running.attempt, state=State.SUCCEED, result=json.dumps(end)
    )


def error_of(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    error: dict[str, str] = json.loads(done.stderr.splitlines()[-1])
    assert set(error) == {"error", "message", "hint"}
    return error


# --- run --------------------------------------------------------------------------------------


def test_run_prints_the_id_of_an_execution_that_waits(project: TempProject) -> None:
    execution = project.execution(project.call("greet", "Ada"))
    assert set(execution) == FIELDS
    assert execution["state"] == "created"
    assert execution["function_name"] == "greet"


def test_run_shows_the_bare_row_as_json(project: TempProject) -> None:
    assert set(project.json("run", "greet", "Ada")) == FIELDS


def test_our_options_may_stand_anywhere(project: TempProject) -> None:
    for words in (
        ("-o", "json", "run", "greet", "Ada", "--metadata", "a=b"),
        ("run", "--metadata", "a=b", "greet", "--output", "json", "Ada"),
        ("run", "greet", "--name", "Ada", "--metadata=a=b", "--output=json"),
    ):
        assert json.loads(project.run(*words).stdout)["metadata"] == {"a": "b"}


def test_arguments_come_from_words_names_and_json(project: TempProject) -> None:
    def arguments(*words: str) -> str:
        execution_id = project.call(*words)
        return project.run("show", execution_id).stdout.partition("arguments\n")[2].partition("\n\n")[0]

    assert arguments("greet", "7") == '  "7"'
    assert arguments("add", "7", "-8") == "  7\n  -8"
    assert arguments("add", "--b", "2", "--a", "1") == "  b = 2\n  a = 1"
    assert arguments("greet", "--name", "7", "--loud") == '  name = "7"\n  loud = true'
    assert arguments("add", "--json", "[1, 2]") == "  1\n  2"
    assert arguments("add", "--json", '{"a": 1, "b": 2}') == "  a = 1\n  b = 2"
    assert arguments("greet", "--", "--wait") == '  "--wait"'


@pytest.mark.parametrize(
    "words",
    [
        ("add", "1"),
        ("add", "1", "2", "3"),
        ("add", "1", "2", "--b", "3"),
        ("add", "1", "--c", "2"),
        ("add", "--json", "7"),
        ("add", "--json", "{"),
        ("add", "1", "2", "--metadata", "x"),
        ("add", "1", "2", "--delay", "soon"),
        ("add", "1", "2", "--timeout", "1s"),
        ("--json", "[]"),
        (),
    ],
)
def test_what_does_not_fit_is_a_usage_error(project: TempProject, words: tuple[str, ...]) -> None:
    done = project.run("run", *words, "--output", "json", check=False)
    assert done.returncode == 2
    assert error_of(done)["message"]
    assert project.json("list")["data"] == []


def test_an_argument_that_does_not_fit_is_named(project: TempProject) -> None:
    assert "'b'" in project.run("run", "add", "1", check=False).stderr


def test_an_unknown_function_is_not_found_and_the_near_one_named(project: TempProject) -> None:
    done = project.run("run", "gret", check=False)
    assert done.returncode == 3
    assert "did you mean greet?" in done.stderr


def test_a_camel_case_name_finds_its_function_and_a_cron_runs_on_demand(project: TempProject) -> None:
    project.write("send_mail", "async def send_mail() -> None: ...")
    assert project.execution(project.call("sendMail"))["function_name"] == "send_mail"
    assert project.execution(project.call("report"))["function_name"] == "report"


def test_waiting_without_an_emulator_says_so_and_times_out(project: TempProject) -> None:
    done = project.run("run", "greet", "Ada", "--wait", "--timeout", "0.1s", check=False)
    assert done.returncode == 5
    assert "no emulator" in done.stderr
    assert "defer dev" in done.stderr
    assert done.stdout == ""


# --- looking ----------------------------------------------------------------------------------


def test_lists_are_newest_first_with_pages(project: TempProject) -> None:
    ids = [project.call("greet", str(number)) for number in range(3)]
    page = project.json("list", "--limit", "2")
    assert [row["id"] for row in page["data"]] == [ids[2], ids[1]]
    assert page["page_info"]["has_next_page"] is True
    rest = project.json("list", "--limit", "2", "--after", page["page_info"]["end_cursor"])
    assert [row["id"] for row in rest["data"]] == [ids[0]]


def test_lists_are_filtered(project: TempProject) -> None:
    project.call("greet", "Ada", "--metadata", "team=a")
    play(project, greet=None)
    project.call("add", "1", "2", "--metadata", "team=b")

    def names(*options: str) -> list[str]:
        return [row["function_name"] for row in project.json("list", *options)["data"]]

    assert names() == ["add", "greet"]
    assert names("--state", "failed") == ["greet"]
    assert names("--state", "failed", "--state", "created") == ["add", "greet"]
    assert names("--function", "add") == ["add"]
    assert names("--metadata", "team=b") == ["add"]
    assert names("--metadata", "team=a", "--metadata", "team=b") == ["add", "greet"]
    assert names("--error-code", "ER0003") == ["greet"]
    assert names("--since", "1h", "--function", "greet") == ["greet"]
    assert names("--since", "2999-01-01") == []
    for wrong in (("--state", "done"), ("--limit", "0"), ("--metadata", "x"), ("--since", "x"), ("--foo",)):
        assert project.run("list", *wrong, check=False).returncode == 2


def test_a_filter_by_an_unknown_function_names_the_near_one(project: TempProject) -> None:
    for words in (("list",), ("list", "--output", "text", "--state", "failed"), ("cancel", "--dry-run")):
        done = project.run(*words, "--function", "gret")
        assert done.stdout == ""
        assert "there is no function 'gret'; did you mean 'greet'?" in done.stderr
    assert project.run("list", "--function", "greet").stderr == "no executions match\n"
    assert project.run("list", "--function", "gret", "--output", "json").stderr == ""


def test_statistics_know_a_function_that_never_ran(project: TempProject) -> None:
    done = project.run("stats", "--function", "greet")
    assert (done.stdout, done.stderr) == ("", "no executions yet; start one: defer run NAME\n")
    found = project.json("stats", "--function", "Greet")
    assert [(row["name"], row["counts"]) for row in found["functions"]] == [("greet", {})]
    assert project.run("stats", "--function", "gret", check=False).returncode == 3


def test_jsonl_is_one_row_a_line(project: TempProject) -> None:
    for number in range(3):
        project.call("greet", str(number))
    lines = project.run("list", "--output", "jsonl").stdout.splitlines()
    assert [set(json.loads(line)) for line in lines] == [FIELDS] * 3


def test_short_ids_and_names_for_the_latest_are_understood(project: TempProject) -> None:
    first = project.call("greet", "Ada")
    play(project, greet=None)
    second = project.call("greet", "Bob")
    assert project.execution(first[-8:])["id"] == first
    assert project.execution("@last")["id"] == second
    assert project.execution("@last-failed")["id"] == first
    assert project.execution(f"{first}.1")["id"] == f"{first}.1"
    assert project.run("show", "0000ffff", check=False).returncode == 3
    assert project.run("show", "abc", check=False).returncode == 3


def test_result_logs_and_attempts_of_a_success(project: TempProject) -> None:
    execution_id = project.call("greet", "Ada")
    assert project.run("result", execution_id, check=False).returncode == 4
    play(project, greet={"ü": [1, None]})
    assert json.loads(project.run("result", execution_id).stdout) == {"ü": [1, None]}
    (line,) = project.json("logs", execution_id)["data"]
    assert set(line) == {"time", "attempt", "stream", "message"}
    assert (line["attempt"], line["stream"], line["message"]) == (1, "stdout", "working")
    attempts = project.json("attempts", execution_id)
    assert [row["id"] for row in attempts["data"]] == [f"{execution_id}.1"]
    assert set(attempts["data"][0]) >= FIELDS
    assert "working" in project.run("logs", execution_id, "-f").stdout


def test_the_result_of_a_failure_is_its_error(project: TempProject) -> None:
    project.call("greet", "Ada")
    play(project, greet=None)
    done = project.run("result", "@last", check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "name": "ValueError",
        "message": "boom",
        "stack": "Traceback: ...",
        "code": "ER0003",
    }


def test_show_is_one_screen(project: TempProject) -> None:
    execution_id = project.call("greet", "Ada", "--metadata", "team=a")
    play(project, greet=None)
    screen = project.run("show", "@last").stdout
    for part in ("greet  failed", execution_id, "team=a", '"Ada"', "ER0003 ValueError: boom", "defer rerun"):
        assert part in screen


def test_functions_have_the_documented_fields(project: TempProject) -> None:
    rows = {row["name"]: row for row in project.json("functions")["data"]}
    assert set(rows) == {"greet", "add", "report"}
    assert set(rows["report"]) == {
        "name", "id", "kind", "cron", "file", "line", "concurrency", "retry", "max_duration", "paused",
    }  # fmt: skip
    assert (rows["report"]["kind"], rows["report"]["cron"]) == ("cron", "0 8 * * MON")
    assert project.execution(project.call("add", "1", "2"))["function_id"] == rows["add"]["id"]


def test_a_file_that_does_not_import_is_listed_and_does_not_stop_the_others(project: TempProject) -> None:
    project.write("broken", "import nowhere_to_be_found\nasync def broken() -> None: ...")
    done = project.run("functions")
    assert "broken" in done.stdout
    assert "greet" in done.stdout
    assert "nowhere_to_be_found" in done.stderr


def test_a_function_that_an_emulator_would_refuse_is_broken_without_one_too(project: TempProject) -> None:
    project.write("hourly", CRON.replace("0 8 * * MON", "99 * * * *").replace("report()", "hourly()"))
    project.write("daily", CRON.replace("report()", "daily(day: int = 1)"))
    done = project.run("functions")
    assert done.stdout.count("broken") == 2
    assert "hourly cannot run: defer/hourly.py:4: cron '99 * * * *'" in done.stderr
    assert "daily cannot run: defer/daily.py:4: a cron takes no parameters" in done.stderr


def test_crons_show_their_next_times(project: TempProject) -> None:
    (row,) = project.json("cron", "--times", "2")["data"]
    assert row["name"] == "report"
    assert all(time.endswith("T08:00:00.000000Z") for time in row["next"])


# --- acting -----------------------------------------------------------------------------------


def test_reschedule_moves_what_has_not_started(project: TempProject) -> None:
    execution_id = project.call("greet", "Ada", "--delay", "1 day")
    later = project.json("reschedule", execution_id, "2030-01-31T08:00:00+01:00")
    assert later["scheduled_at"] == "2030-01-31T07:00:00.000000Z"
    now = project.json("reschedule", execution_id)
    assert now["scheduled_at"] < later["scheduled_at"]
    assert project.run("reschedule", execution_id, "tomorrow", check=False).returncode == 2
    play(project)
    assert project.run("reschedule", execution_id, "2h", check=False).returncode == 4


def test_cancel_twice_is_a_conflict(project: TempProject) -> None:
    project.call("greet", "Ada")
    assert project.json("cancel", "@last")["state"] == "cancelled"
    done = project.run("cancel", "@last", "--output", "json", check=False)
    assert done.returncode == 4
    assert error_of(done)["error"] == "conflict"
    assert project.run("result", "@last", check=False).returncode == 4


def test_rerun_makes_a_new_execution_of_the_same(project: TempProject) -> None:
    first = project.call("greet", "Ada", "--metadata", "a=b")
    again = project.json("rerun", first)
    assert again["id"] != first
    assert (again["rerun_of"], again["metadata"], again["state"]) == (first, {"a": "b"}, "created")


def test_bulk_needs_a_filter_and_consent(project: TempProject) -> None:
    for number in range(3):
        project.call("greet", str(number))
    project.call("add", "1", "2")
    assert project.run("cancel", check=False).returncode == 2
    asked = project.run("cancel", "--function", "greet", check=False)
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    dry = project.run("cancel", "--function", "greet", "--dry-run")
    assert "would cancel 3 executions" in dry.stderr
    assert len(project.json("list", "--state", "cancelled")["data"]) == 0
    done = project.json("cancel", "--function", "greet", "--yes")
    assert [row["state"] for row in done["data"]] == ["cancelled"] * 3
    assert len(project.json("list", "--state", "created")["data"]) == 1
    assert project.run("cancel", "@last", "--state", "created", check=False).returncode == 2


def test_several_ids_carry_on_after_a_failure(project: TempProject) -> None:
    first, second = project.call("greet", "1"), project.call("greet", "2")
    done = project.run("cancel", first, "0000ffff", second, check=False)
    assert done.returncode == 3
    assert "2 done, 1 failed" in done.stderr
    assert len(project.json("list", "--state", "cancelled")["data"]) == 2


def test_what_became_of_several_is_told_to_programs_too(project: TempProject) -> None:
    first, second = project.call("greet", "1"), project.call("greet", "2")
    project.run("cancel", first)
    done = project.run("cancel", first, second, "zzzz", "--output", "json", check=False)
    assert done.returncode == 4, "that of the first failure"
    told = json.loads(done.stdout)
    assert [row["id"] for row in told["data"]] == [second]
    assert told["summary"] == {"matched": 3, "done": 1, "failed": 2}
    assert [(one["id"], one["error"]) for one in told["failed"]] == [
        (first, "conflict"),
        ("zzzz", "not_found"),
    ]
    lines = project.run("rerun", first, second, "--output", "jsonl")
    assert [json.loads(line)["rerun_of"] for line in lines.stdout.splitlines()] == [first, second]
    assert json.loads(lines.stderr) == {"summary": {"matched": 2, "done": 2, "failed": 0}}


def test_ids_mean_what_they_meant_before_anything_was_done_and_each_once(project: TempProject) -> None:
    first, last = project.call("greet", "1"), project.call("greet", "2")
    done = project.json("rerun", first, "@last", last[-8:])
    assert [row["rerun_of"] for row in done["data"]] == [first, last]


def test_more_than_a_page_is_acted_on_but_no_more_than_the_limit(project: TempProject) -> None:
    backend = open_backend(project.root)
    for _ in range(1_234):
        wait_for(backend.enqueue(Call(function_name="greet", arguments=Arguments(positional=["Ada"]))))
    dry = project.run("cancel", "--function", "greet", "--limit", "3", "--dry-run")
    assert "would cancel 3 executions" in dry.stderr
    assert "1,234 done" in project.run("cancel", "--state", "created", "--yes").stderr
    assert "no executions match" in project.run("cancel", "--state", "created", "--yes").stderr


def test_pause_and_resume_show_in_the_functions(project: TempProject) -> None:
    play(project)

    def paused() -> set[str]:
        return {row["name"] for row in project.json("functions")["data"] if row["paused"]}

    project.run("pause", "greet")
    assert paused() == {"greet"}
    project.run("resume", "greet")
    project.run("pause")
    assert paused() == {"greet", "add", "report"}
    project.run("resume")
    assert paused() == set()
    assert project.run("pause", "nobody", check=False).returncode == 3


def test_a_function_can_be_paused_before_any_emulator_has_loaded_it(project: TempProject) -> None:
    for typed, name in (("greet", "greet"), ("Report", "report")):
        assert project.json("pause", typed) == {"function": name, "paused": True}
    rows = {row["name"]: row for row in project.json("functions")["data"]}
    assert {name for name, row in rows.items() if row["paused"]} == {"greet", "report"}
    assert rows["report"]["kind"] == "cron"
    unknown = project.run("pause", "gret", check=False)
    assert unknown.returncode == 3
    assert "did you mean greet?" in unknown.stderr
    project.run("resume", "report")
    with project.dev("--port", "0").ready():
        greet, add = project.call("greet", "Ada"), project.call("add", "1", "2")
        project.wait_for(add, "succeed")
        assert project.json("why", greet)["reason"] == "paused"
        assert project.json("functions")["data"][2]["cron"] == "0 8 * * MON"


def test_version_and_completion_are_json_on_request(tmp_path: Path) -> None:
    for words in (("--version", "-o", "json"), ("--output=json", "--version"), ("-o", "jsonl", "-V")):
        assert set(json.loads(defer(tmp_path, *words).stdout)) == {"version"}
    found = json.loads(defer(tmp_path, "completion", "fish", "-o", "json").stdout)
    assert found == {"shell": "fish", "script": defer(tmp_path, "completion", "fish").stdout}


def test_a_word_that_is_none_of_the_choices_says_which_there_are(tmp_path: Path) -> None:
    for words, told in (
        (["completion"], "Missing argument 'SHELL': take one of bash, zsh, fish"),
        (
            ["completion", "zhs"],
            "Invalid value for 'SHELL': 'zhs' is not one of 'bash', 'zsh', 'fish'; did you",
        ),
        (["snapshot"], "Missing argument 'ACTION': take one of save, list, restore, fork, delete"),
    ):
        done = defer(tmp_path, *words)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {told}")


@pytest.mark.parametrize("words", [["-o", "json", "--nope"], ["-o", "json", "-C"], ["-o", "json", "lsit"]])
def test_what_the_root_cannot_read_is_an_error_in_the_format_asked_for(
    tmp_path: Path, words: list[str]
) -> None:
    done = defer(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert set(json.loads(done.stderr)) == {"error", "message", "hint"}


# --- init, new, check -------------------------------------------------------------------------


def test_init_prepares_an_empty_folder_and_is_idempotent(tmp_path: Path) -> None:
    first = defer(tmp_path, "init")
    assert first.returncode == 0
    for command in ("defer dev", "defer run say_hello", "defer list"):
        assert command in first.stderr
    assert (tmp_path / ".gitignore").read_text() == ".defer/\n"
    assert (tmp_path / ".defer" / "state.db").exists()
    (tmp_path / "defer" / "say_hello.py").write_text("# mine\n")
    second = defer(tmp_path, "init")
    assert second.returncode == 0
    assert "nothing was changed" in second.stdout
    assert (tmp_path / "defer" / "say_hello.py").read_text() == "# mine\n"
    assert (tmp_path / ".gitignore").read_text() == ".defer/\n"


def test_init_keeps_what_git_ignores_already_and_goes_into_a_src_layout(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.pyc")
    (tmp_path / "src" / "shop").mkdir(parents=True)
    (tmp_path / "src" / "shop" / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["fastapi>=0.1"]\n')
    done = defer(tmp_path, "init")
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n.defer/\n"
    assert (tmp_path / "src" / "defer" / "__init__.py").exists()
    assert "FastAPI" in done.stderr


def test_new_shows_the_next_times_of_a_cron(tmp_path: Path) -> None:
    defer(tmp_path, "init")
    done = defer(tmp_path, "new", "weekly_report", "--cron", "30 8 * * MON")
    assert done.stderr.count(" 08:30") == 5
    assert '@defer.cron("30 8 * * MON")' in (tmp_path / "defer" / "weekly_report.py").read_text()
    (row,) = json.loads(defer(tmp_path, "cron", "-o", "json").stdout)["data"]
    assert row["cron"] == "30 8 * * MON"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("class",), 2),
        (("2fa",), 2),
        (("a/b",), 2),
        (("say_hello",), 4),
        (("x", "--cron", "0 8 * * * *"), 2),
        (("x", "--cron", "0 0 31 2 *"), 2),
        (("x", "--cron", "@daily", "--template", "workflow"), 2),
        (("x", "--template", "nothing"), 2),
        (("x", "--dir", "../outside"), 2),
        ((), 2),
    ],
)
def test_new_refuses_what_cannot_be(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    defer(tmp_path, "init")
    before = sorted(tmp_path.rglob("*.py"))
    assert defer(tmp_path, "new", *words).returncode == code
    assert sorted(tmp_path.rglob("*.py")) == before


def test_check_fails_on_errors_alone(project: TempProject) -> None:
    project.write("plain", "def plain() -> None: ...")
    warned = project.run("check", "--output", "json")
    assert [finding["severity"] for finding in json.loads(warned.stdout)["findings"]] == ["warning"]
    project.write("weekly", 'from defer_client import defer\n@defer.cron("x")\nasync def weekly(): ...')
    failed = project.run("check", "--output", "json", check=False)
    assert failed.returncode == 1
    for finding in json.loads(failed.stdout)["findings"]:
        assert set(finding) == {"code", "severity", "file", "line", "column", "message", "fix"}
    github = project.run("check", "--output", "github", check=False).stdout
    assert "::error file=defer/weekly.py,line=" in github


def test_check_imports_what_the_source_alone_does_not_show(project: TempProject) -> None:
    project.write("late", "1 / 0\nasync def late() -> None: ...")
    findings = json.loads(project.run("check", "-o", "json", check=False).stdout)["findings"]
    assert any("ZeroDivisionError" in finding["message"] for finding in findings)


# --- the edges --------------------------------------------------------------------------------


def test_without_a_project_or_a_server_the_code_is_six(tmp_path: Path) -> None:
    for words in (("list",), ("run", "x"), ("functions",), ("check",), ("show", "@last")):
        done = defer(tmp_path, *words, "--output", "json")
        assert (done.returncode, done.stdout) == (6, "")
        assert "defer init" in error_of(done)["hint"]
    assert defer(tmp_path, "list", DEFER_ENDPOINT="http://127.0.0.1:9").returncode == 6
    assert defer(tmp_path, "--project", "nowhere", "list").returncode == 6


def test_without_a_folder_of_functions_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    for words in (("dev", "--port", "0"), ("exec", "--", "true")):
        done = defer(tmp_path, *words)
        assert (done.returncode, done.stdout) == (6, "")
        assert "no folder named defer/" in done.stderr and "defer init" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]


def test_with_two_folders_nothing_new_goes_into_either(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    for app in ("billing", "shipping"):
        (tmp_path / app / "defer").mkdir(parents=True)
        (tmp_path / app / "defer" / "__init__.py").touch()
    done = defer(tmp_path, "new", "send_mail")
    assert (done.returncode, done.stdout) == (6, "")
    assert 'folders = ["billing/defer", "shipping/defer"]' in done.stderr
    (tmp_path / "defer.toml").write_text('folders = ["billing/defer", "shipping/defer"]\n')
    assert "created billing/defer/send_mail.py" in defer(tmp_path, "new", "send_mail").stdout


def test_a_project_is_found_from_below_and_by_option(project: TempProject, tmp_path: Path) -> None:
    project.call("greet", "Ada")
    assert "greet" in defer(project.root / "defer", "list").stdout
    assert "greet" in defer(tmp_path, "list", "--project", str(project.root)).stdout
    assert "greet" in defer(tmp_path, "-C", "shop", "list").stdout


def test_a_wrong_command_or_option_is_a_usage_error(tmp_path: Path) -> None:
    assert "did you mean 'list'?" in defer(tmp_path, "lsit").stderr
    for words in (("lsit",), ("--nope",), ("list", "-o", "xml"), ("list", "-o", "github"), ("show",)):
        assert defer(tmp_path, *words).returncode == 2


def test_the_version_and_help_need_no_project(tmp_path: Path) -> None:
    assert defer(tmp_path, "--version").stdout.startswith("defer 0.")
    assert "Usage: defer" in defer(tmp_path, "--help").stdout
    assert "Usage: defer run" in defer(tmp_path, "run", "--help").stdout


def test_a_reader_that_leaves_early_is_no_error(project: TempProject) -> None:
    project.call("greet", "Ada")
    command = f"for i in 1 2 3; do {DEFER!r} list -o jsonl; done | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=project.root, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_a_full_disk_is_said_without_a_traceback(project: TempProject) -> None:
    project.call("greet", "Ada")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [DEFER, "list"], cwd=project.root, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_file_is_said_without_a_traceback(project: TempProject) -> None:
    (project.root / ".defer" / "state.db").write_bytes(b"this is no database" * 100)
    done = project.run("list", check=False)
    assert done.returncode == 6
    assert "Traceback" not in done.stderr
    assert project.run("doctor", check=False).returncode == 1


def test_doctor_finds_nothing_in_a_sound_project(project: TempProject) -> None:
    project.call("greet", "Ada")
    rows = project.json("doctor")["data"]
    assert all(row["ok"] for row in rows)


def test_completion_offers_commands_names_and_ids(project: TempProject) -> None:
    execution_id = project.call("greet", "Ada")

    def offered(line: str) -> str:
        words = line.split(" ")
        return project.run(
            _DEFER_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
        ).stdout

    assert "plain,reschedule" in offered("defer re")
    assert "plain,greet" in offered("defer run g")
    assert execution_id[-8:] in offered("defer show ")
    for shell in ("bash", "zsh", "fish"):
        assert "_DEFER_COMPLETE" in project.run("completion", shell).stdout


def test_an_unexpected_error_is_kept_in_a_file(project: TempProject, tmp_path: Path) -> None:
    (project.root / "sitecustomize.py").write_text(
        "import defer_cli.session as s\n"
        "def broken(self):\n    raise ZeroDivisionError('ours')\n"
        "s.Session.now = broken\n"
    )
    project.call("greet", "Ada")
    done = project.run("list", check=False, PYTHONPATH=str(project.root), TMPDIR=str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (report,) = tmp_path.glob("defer-report-*")
    assert str(report) in done.stderr
    assert "ZeroDivisionError: ours" in report.read_text()


def test_who_makes_errors_of_warnings_is_not_told_those_of_our_libraries(project: TempProject) -> None:
    project.call("greet", "Ada")
    assert "greet" in project.run("list", PYTHONWARNINGS="error").stdout
    with project.dev(PYTHONWARNINGS="error").ready():
        project.wait_for("@last", "succeed")
