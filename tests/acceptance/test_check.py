"""`defer check` as a person and a script use it: what it shows, and what `--fix` does and asks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.terminal import Terminal
from tests.projects import DEFER, TempProject

pytestmark = pytest.mark.acceptance

USE = "from defer_client import defer\n\n\n"
MAIL = USE + "@defer\r\nasync def send_email(to: str) -> None: ...  # größe\r\n"
REPORT = USE + '@defer.cron("0 8 * * *")\nasync def report(day: str = "MON") -> None: ...\n'
APP = """\
from defer.report import report
from defer.send_mail import send_email as mail


async def view() -> None:
    mail("ada@example.org")


def late() -> None:
    report.enqueue()
"""


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    project = TempProject(tmp_path / "shop")
    for name, text in {"defer/send_mail.py": MAIL, "defer/report.py": REPORT, "app.py": APP}.items():
        (project.root / name).write_bytes(text.encode())
    return project


def sources(project: TempProject) -> dict[str, bytes]:
    found = (path for path in project.root.rglob("*.py") if ".defer" not in path.parts)
    return {path.relative_to(project.root).as_posix(): path.read_bytes() for path in found}


def findings(project: TempProject, *words: str) -> list[dict[str, Any]]:
    done = project.run("check", *words, "--output", "json", check=False)
    return list(json.loads(done.stdout)["findings"])


def test_text_shows_the_place_the_line_the_reason_the_fix_and_where_to_read_more(
    project: TempProject,
) -> None:
    done = project.run("check", check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "app.py:6:5: error[DF015] this call of send_email is never awaited: nothing is enqueued",
        '  6 |     mail("ada@example.org")',
        "    |     ^^^^^^^^^^^^^^^^^^^^^^^",
        "  reason: Nothing is enqueued until the call is awaited.",
        "  fix: write await mail(...) [*]",
        "  see: docs/errors.md#df015",
        "app.py:10:5: error[DF014] report is a cron: it runs by its schedule, an application cannot start it",
        "  10 |     report.enqueue()",
        "     |     ^^^^^^^^^^^^^^^^",
        "  reason: It raises CronInvocationError: crons run by their schedule.",
        "  fix: run it from the command line (defer run report), "
        "or move its body to a function that both can call",
        "  see: docs/errors.md#df014",
        "defer/report.py:5:18: error[DF003] cron functions take no arguments, but report has: day",
        '  5 | async def report(day: str = "MON") -> None: ...',
        "    |                  ^^^^^^^^",
        "  reason: A cron is started by its schedule, which has nothing to pass.",
        "  fix: remove the parameters, or make report a background function with @defer [*]",
        "  see: docs/errors.md#df003",
        "defer/send_mail.py:5:11: error[DF001] send_mail.py holds 'send_email', but no function 'send_mail'",
        "  5 | async def send_email(to: str) -> None: ...  # größe",
        "    |           ^^^^^^^^^^",
        "  reason: A function is found by the name of its file, without importing all.",
        "  fix: rename the function to send_mail, or the file to send_email.py [*]",
        "  see: docs/errors.md#df001",
    ]
    assert done.stderr == "4 errors, 0 warnings; 3 of them ([*]) can be mended with: defer check --fix\n"


def test_fix_without_a_terminal_shows_the_changes_and_makes_none(project: TempProject) -> None:
    before = sources(project)
    asked = project.run("check", "--fix", check=False)
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    looked = project.run("check", "--fix", "--dry-run", check=False)
    assert looked.returncode == 1
    for done in (asked, looked):
        assert (
            '-async def report(day: str = "MON") -> None: ...\n+async def report() -> None: ...'
            in done.stdout
        )
        assert "rename from defer/send_mail.py\nrename to defer/send_email.py" in done.stdout
    assert sources(project) == before


def test_fix_mends_what_it_can_and_checks_again(project: TempProject) -> None:
    done = project.run("check", "--fix", "--yes", check=False)
    assert done.returncode == 1  # the cron that the application calls is left
    assert "made 3 fixes in 3 files" in done.stderr
    assert "app.py:10:5: error[DF014]" in done.stdout
    assert sources(project) == {
        "defer/__init__.py": b"",
        "defer/send_email.py": MAIL.encode(),
        "defer/report.py": REPORT.replace('day: str = "MON"', "").encode(),
        "app.py": APP.replace("send_mail", "send_email").replace("    mail", "    await mail").encode(),
    }
    assert [each["code"] for each in findings(project, "--fix", "--yes")] == ["DF014"]


def test_fix_keeps_to_the_format_that_was_asked_for(project: TempProject) -> None:
    done = project.run("check", "--fix", "--yes", "--output", "json", check=False)
    (only,) = json.loads(done.stdout)["findings"]
    assert set(only) == {"code", "severity", "file", "line", "column", "message", "fix"}
    assert "+++ b/app.py" in done.stderr


def test_a_person_is_asked(project: TempProject) -> None:
    before = sources(project)
    terminal = Terminal(project.root, "check", "--fix")
    terminal.shows("make 3 fixes in 3 files? [y/N]")
    terminal.type("\n")
    assert terminal.wait() == 1
    assert "nothing was changed" in terminal.text
    assert sources(project) == before
    terminal = Terminal(project.root, "check", "--fix")
    terminal.shows("[y/N]")
    terminal.type("y\n")
    assert terminal.wait() == 1
    assert "made 3 fixes" in terminal.text
    assert "DF014" in terminal.text


def test_the_options_of_fix_need_it(project: TempProject) -> None:
    assert project.run("check", "--yes", check=False).returncode == 2


def test_an_import_that_takes_long_is_told_while_it_lasts(tmp_path: Path) -> None:
    wait = "import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.01)\n"
    project = TempProject(tmp_path / "shop", {"slow": wait + "async def slow() -> None: ..."})
    with subprocess.Popen([DEFER, "check"], cwd=project.root, stderr=subprocess.PIPE, text=True) as checking:
        assert checking.stderr is not None
        assert checking.stderr.readline().startswith("importing takes long; ")
        (project.root / "go").touch()
        assert checking.stderr.read() == "no problems found\n"
    assert checking.returncode == 0


def test_jsonl_and_github(project: TempProject) -> None:
    lines = project.run("check", "--output", "jsonl", check=False).stdout.splitlines()
    assert [json.loads(line)["code"] for line in lines] == ["DF015", "DF014", "DF003", "DF001"]
    first, *_ = project.run("check", "--output", "github", check=False).stdout.splitlines()
    assert first.startswith("::error file=app.py,line=6,col=5,title=DF015::this call of send_email")
    assert first.endswith("%0Asee: docs/errors.md#df015")


def test_dev_tells_the_same_at_its_start_and_on_each_save_anywhere(project: TempProject) -> None:
    project.run("check", "--fix", "--yes", check=False)
    app = project.root / "app.py"
    with project.dev("--port", "0").ready() as dev:
        dev.says("app.py:10:5: error[DF014]")
        app.write_text(app.read_text().replace("await mail", "mail"))
        dev.says("app.py:6:5: error[DF015]")
        dev.says("docs/errors.md#df015")
        project.write("late", USE + "@defer\nasync def later() -> None: ...\n")
        dev.says("defer/late.py:5:11: error[DF001]")
        assert dev.output.count("error[DF014]") == 1
