"""What `defer check --fix` changes, what it leaves, and that it leaves all the rest as it is."""

from __future__ import annotations

import codecs
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from defer_emulator.config import Config
from defer_emulator.project.check import check_project
from defer_emulator.project.edits import difference
from defer_emulator.project.fixes import Plan, plan_fixes

USE = "from defer_client import defer\n\n\n"
MAIL = USE + "@defer\nasync def send_mail(x: int = 0) -> int:\n    return x\n"

PlanOf = Callable[..., Plan]


@pytest.fixture
def plan(tmp_path: Path) -> PlanOf:
    """What would be changed in a project of these files, given by their path below the root."""

    def plan(**files: str | bytes) -> Plan:
        given = {"pyproject.toml": "", "defer/__init__.py": "", **files}
        for name, content in given.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        return plan_fixes(check_project(tmp_path, Config(), installed=()))

    return plan


def results(plan: Plan, root: Path) -> dict[str, str]:
    """The new texts of the changed files, by their new names."""
    return {
        change.target.relative_to(root).as_posix(): change.content.decode("utf-8") for change in plan.changes
    }


def only(plan: Plan) -> str:
    (change,) = plan.changes
    return change.content.decode("utf-8")


def reasons(plan: Plan) -> str:
    return "; ".join(reason for _, reason in plan.left)


# --- async ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("@defer\ndef f(x): return x\n", "@defer\nasync def f(x): return x\n"),
        (
            "@defer(\n  retry=3,\n)\ndef  f ( x ) :\n\treturn x  # tab\n",
            "async def  f ( x ) :\n\treturn x  # tab\n",
        ),
        ("def f(): ...\nf = defer(f)\n", "async def f(): ...\nf = defer(f)\n"),
        ("if True:\n    @defer\n    def f(): ...\n", "    @defer\n    async def f(): ...\n"),
    ],
)
def test_async_is_added(plan: PlanOf, before: str, after: str) -> None:
    text = only(plan(**{"defer/f.py": USE + before}))
    assert text == (USE + before).replace(" def ", " async def ").replace("\ndef ", "\nasync def ")
    assert text.endswith(after)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import asyncio\n@defer\ndef f():\n    asyncio.run(g())\n", "event loop"),
        ("import functools\n@defer\n@functools.cache\ndef f(): ...\n", "another decorator"),
        ("def f(): ...\ndef g(): f()\nf = defer(f)\n", "before or beside defer"),
    ],
)
def test_async_is_not_added_where_it_could_change_more(plan: PlanOf, source: str, reason: str) -> None:
    found = plan(**{"defer/f.py": USE + source})
    assert found.changes == ()
    assert reason in reasons(found)


def test_a_function_whose_body_somebody_runs_directly_stays_as_it_is(plan: PlanOf) -> None:
    source = USE + "@defer\ndef f(): return 1\n"
    test = "from defer.f import f\ndef test(): assert f.local() == 1\n"
    found = plan(**{"defer/f.py": source, "tests/test_f.py": test})
    assert found.changes == ()
    assert "f.local(...)" in reasons(found)


# --- await ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "fixed"),
    [
        ("send_mail(1)", "await send_mail(1)"),
        ("send_mail( 1 ) ; x = 2  # both", "await send_mail( 1 ) ; x = 2  # both"),
        ("send_mail(1) if x else send_mail(2)", "await send_mail(1) if x else await send_mail(2)"),
        ("x and send_mail(1)", "x and await send_mail(1)"),
        ("[send_mail(y) for y in x]", "[await send_mail(y) for y in x]"),
        ("(send_mail(1), send_mail(2))", "(await send_mail(1), await send_mail(2))"),
        ("task = send_mail(1)", "task = await send_mail(1)"),
        ("task: object = send_mail(1)", "task: object = await send_mail(1)"),
        ("send_mail.with_options(delay='1d')(1)", "await send_mail.with_options(delay='1d')(1)"),
        ("delay(send_mail, '1d')(\n        1)", "await delay(send_mail, '1d')(\n        1)"),
        ("'größe €𝄞'; send_mail(1)", "'größe €𝄞'; await send_mail(1)"),
        ("for y in x: send_mail(y)", "for y in x: await send_mail(y)"),
        (
            "try:\n        send_mail(1)\n    finally: ...",
            "try:\n        await send_mail(1)\n    finally: ...",
        ),
    ],
)
def test_await_is_added_in_async_code(plan: PlanOf, statement: str, fixed: str) -> None:
    text = (
        "from defer_client import delay\nfrom defer.send_mail import send_mail\n\n\n"
        f"async def main(x):\n    {statement}\n"
    )
    assert only(plan(**{"defer/send_mail.py": MAIL, "app.py": text})) == text.replace(statement, fixed)


@pytest.mark.parametrize(
    "text",
    [
        "def main():\n    send_mail(1)\n",
        "send_mail(1)\n",
        "async def main(x):\n    (send_mail(y) for y in x)\n",
        "async def main():\n    if send_mail(1): ...\n",
        "async def main():\n    def inner():\n        send_mail(1)\n",
        "async def main():\n    class A:\n        send_mail(1)\n",
    ],
)
def test_await_is_not_added_where_it_cannot_stand_or_would_not_help(plan: PlanOf, text: str) -> None:
    found = plan(**{"defer/send_mail.py": MAIL, "app.py": "from defer.send_mail import send_mail\n" + text})
    assert found.changes == ()
    assert "nothing can be awaited" in reasons(found)


def test_a_function_that_becomes_async_gets_its_awaits_at_once(plan: PlanOf) -> None:
    source = "from .send_mail import send_mail\n" + USE + "@defer\ndef greet():\n    send_mail(1)\n"
    text = only(plan(**{"defer/send_mail.py": MAIL, "defer/greet.py": source}))
    assert text.endswith("@defer\nasync def greet():\n    await send_mail(1)\n")


# --- parameters of a cron ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "body", "kept"),
    [
        ("day", "...", ""),
        ('day: str = "MON", *args, n=(1, 2), **more', "...", ""),
        ("\n    day: str,\n    n: int = 3,\n", "...", ""),
        ("day, n=1", "print(n)", "n=1"),
        ("day, n=1", "print(day)", "day"),
        ("day, /, n", "print(n)", "n"),
        ("day, *args, n", "print(day, n)", "day, *, n"),
        ("\n    day: str,\n    n: int = 3,\n", "print(n)", "\n    n: int = 3,\n"),
        ("\n    day: str,\n    n: int = 3\n", "print(day)", "\n    day: str\n"),
    ],
)
def test_parameters_that_are_never_used_go(plan: PlanOf, parameters: str, body: str, kept: str) -> None:
    head = USE + '@defer.cron("0 8 * * *")  # at eight\nasync def f('
    tail = f") -> None:  # why\n    {body}\n"
    found = plan(**{"defer/f.py": f"{head}{parameters}{tail}"})
    assert only(found) == f"{head}{kept}{tail}"
    assert ("keeps" in found.fixes[0].note) == bool(kept)


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ("async def f(day):\n    print(day)\n", "uses them"),
        ("async def f(day):\n    print(locals())\n", "uses them"),
        ("async def f(day):\n    return lambda: day\n", "uses them"),
        ("async def f(\n    day,  # the weekday\n): ...\n", "comment"),
    ],
)
def test_parameters_that_may_matter_stay(plan: PlanOf, definition: str, reason: str) -> None:
    found = plan(**{"defer/f.py": USE + '@defer.cron("0 8 * * *")\n' + definition})
    assert found.changes == ()
    assert reason in reasons(found)


# --- renames ----------------------------------------------------------------------------------------

OTHER = USE + "@defer\nasync def send_email(to):\n    await send_email(to)  # send_email again\n"


def test_a_function_that_nobody_imports_gets_the_name_of_its_file(plan: PlanOf) -> None:
    fixed = OTHER.replace("def send_email", "def send_mail").replace("await send_email", "await send_mail")
    assert only(plan(**{"defer/send_mail.py": OTHER})) == fixed


def test_a_file_whose_function_is_imported_by_name_gets_the_name_of_the_function(
    plan: PlanOf, tmp_path: Path
) -> None:
    importers = {
        "app.py": "from defer.send_mail import (\n    send_email,\n)\n",
        "defer/other.py": "from .send_mail import send_email as e\n" + MAIL.replace("send_mail", "other"),
        "tests/test_app.py": "import defer.send_mail as m\nx = m.send_email\n",
        "web.py": "import defer.send_mail\nx = defer.send_mail.send_email\n",
        "old.py": "from defer import send_mail\nx = send_mail.send_email\n",
    }
    found = plan(**{"defer/send_mail.py": OTHER, **importers})
    changed = results(found, tmp_path)
    assert changed == {
        "defer/send_email.py": OTHER,
        "app.py": "from defer.send_email import (\n    send_email,\n)\n",
        "defer/other.py": "from .send_email import send_email as e\n" + MAIL.replace("send_mail", "other"),
        "tests/test_app.py": "import defer.send_email as m\nx = m.send_email\n",
        "web.py": "import defer.send_email\nx = defer.send_email.send_email\n",
        "old.py": "from defer import send_email as send_mail\nx = send_mail.send_email\n",
    }
    assert "the file is renamed" in found.fixes[0].note


def test_the_function_is_renamed_for_its_importers_where_the_file_cannot_be(
    plan: PlanOf, tmp_path: Path
) -> None:
    text = OTHER.replace("send_email", "test_mail")  # a file of that name is no function's
    importers = {
        "app.py": "from defer.send_mail import test_mail, defer\ntest_mail\n",
        "web.py": "import defer.send_mail as m\nm.test_mail\n",
    }
    changed = results(plan(**{"defer/send_mail.py": text, **importers}), tmp_path)
    assert changed == {
        "defer/send_mail.py": text.replace("def test_mail", "def send_mail").replace(
            "await test_mail", "await send_mail"
        ),
        "app.py": "from defer.send_mail import send_mail as test_mail, defer\ntest_mail\n",
        "web.py": "import defer.send_mail as m\nm.send_mail\n",
    }


def test_a_name_that_the_file_uses_otherwise_leaves_the_function_as_it_is(
    plan: PlanOf, tmp_path: Path
) -> None:
    text = "def send_mail(): ...\n" + OTHER
    assert list(results(plan(**{"defer/send_mail.py": text}), tmp_path)) == ["defer/send_email.py"]


def test_no_file_is_ever_overwritten(plan: PlanOf, tmp_path: Path) -> None:
    taken = {"defer/send_email.py": MAIL.replace("send_mail", "send_email")}
    text = "def send_mail(): ...\n" + OTHER
    found = plan(**{"defer/send_mail.py": text, **taken})
    assert found.changes == ()
    assert "has that name" in reasons(found)
    stray = tmp_path / "defer" / "send_email.py"
    stray.unlink()
    stray.mkdir()
    assert "there is a file send_email.py already" in reasons(plan(**{"defer/send_mail.py": text}))


def test_two_files_that_want_one_name_do_not_both_get_it(plan: PlanOf, tmp_path: Path) -> None:
    found = plan(**{"defer/a-b.py": "", "defer/a b.py": ""})
    assert list(results(found, tmp_path)) == ["defer/a_b.py"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (OTHER + "\n\n@defer\nasync def third(): ...\n", "not clear which"),
        (USE + "async def _send(): ...\nmail = defer(_send)\n", "has another name"),
        ("async def other(): ...\n", "not clear which"),
        (OTHER + "class A:\n    def send_email(self): ...\n", "second meaning"),
        (OTHER + "def g():\n    global send_email\n", "second meaning"),
        (OTHER + "def g():\n    send_email = 1\n", "second meaning"),
        (OTHER + "def g(send_mail): ...\n", "second meaning"),
    ],
)
def test_what_is_not_clear_is_left(plan: PlanOf, source: str, reason: str) -> None:
    files = {"defer/send_mail.py": source}
    if "meaning" in reason:
        files["defer/send_email.py"] = MAIL.replace("send_mail", "send_email")
    found = plan(**files)
    assert found.changes == ()
    assert reason in reasons(found)


def test_the_def_behind_another_name_gets_that_name(plan: PlanOf) -> None:
    text = USE + "async def _send(): ...\n\n\nsend_mail = defer(_send, retry=3)\n"
    assert only(plan(**{"defer/send_mail.py": text})) == text.replace("_send,", "send_mail,").replace(
        "def _send", "def send_mail"
    )


def test_dunder_all_follows(plan: PlanOf) -> None:
    text = OTHER + "\n__all__ = ['send_email', \"send_email\"]\n"
    assert only(plan(**{"defer/send_mail.py": text})).endswith("__all__ = ['send_mail', \"send_mail\"]\n")


def test_an_import_of_everything_and_a_text_count_as_importers(plan: PlanOf, tmp_path: Path) -> None:
    star = {"app.py": "from defer.send_mail import *\n"}
    changed = results(plan(**{"defer/send_mail.py": OTHER, **star}), tmp_path)
    assert changed["app.py"] == "from defer.send_email import *\n"
    found = plan(**{"app.py": "mock.patch('defer.send_mail.x')\n"})
    assert "look at app.py:1" in found.fixes[0].note


def test_a_name_in_an_f_string_is_renamed_or_nothing_is(plan: PlanOf, tmp_path: Path) -> None:
    text = OTHER + "\n\nx = f'{send_email}'\n"
    found = plan(**{"defer/send_mail.py": text, "defer/send_email.py": ""})
    changed = results(found, tmp_path)
    assert changed.get("defer/send_mail.py", "").count("send_email") in (0, 1)  # the comment


def test_a_file_that_cannot_be_imported_gets_a_name(plan: PlanOf, tmp_path: Path) -> None:
    files = {
        "defer/send-mail.py": MAIL,
        "defer/2fa.py": "def (",
        "defer/class.py": "",
        "defer/my-x/f.py": MAIL,
    }
    found = plan(**files)
    assert results(found, tmp_path) == {
        "defer/send_mail.py": MAIL, "defer/fa.py": "def (", "defer/class_.py": "",
    }  # fmt: skip
    assert "folder has to be renamed" in reasons(found)


# --- all the rest stays -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "coding", "encoding"),
    [
        (codecs.BOM_UTF8, "", "utf-8"),
        (b"", "# -*- coding: latin-1 -*-", "latin-1"),
        (b"", "# coding: cp1252", "cp1252"),
        (b"", "# vim: set fileencoding=shift_jis :", "shift_jis"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encoding_line_ends_and_a_missing_last_one_are_kept(
    plan: PlanOf, mark: bytes, coding: str, encoding: str, end: str
) -> None:
    word = "日本" if encoding == "shift_jis" else "größe"
    lines = [
        coding, "from defer_client import defer", "from .send_mail import send_mail", "", f"W = '{word}'\t ",
        "@defer", "def f(a):", f"    '{word}'; send_mail(a)  # {word}", "\f", "    return a",
    ]  # fmt: skip
    before = mark + end.join(lines).encode(encoding)
    (change,) = plan(**{"defer/send_mail.py": MAIL, "defer/f.py": before}).changes
    expected = before.replace(b"def f", b"async def f").replace(b"; send", b"; await send")
    assert change.content == expected
    assert change.raw == before


def test_a_name_that_the_encoding_lacks_is_left(plan: PlanOf) -> None:
    text = "# coding: latin-1\n" + OTHER
    taken = {"defer/send_email.py": MAIL.replace("send_mail", "send_email")}
    found = plan(**{"defer/メール.py": text.encode("latin-1"), **taken})
    assert found.changes == ()
    assert "lacks a character" in reasons(found)


def test_links_are_left(plan: PlanOf, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-elsewhere.py"
    outside.write_text(USE + "@defer\ndef f(): ...\n")
    (tmp_path / "defer").mkdir()
    (tmp_path / "defer" / "f.py").symlink_to(outside)
    found = plan()
    assert found.changes == ()
    assert "defer/f.py is a link" in reasons(found)


def test_the_difference_is_a_unified_diff(plan: PlanOf, tmp_path: Path) -> None:
    text = USE + "@defer\r\ndef f(): ..."
    (change,) = plan(**{"defer/f.py": text.encode()}).changes
    assert list(difference(tmp_path, change)) == [
        "--- a/defer/f.py", "+++ b/defer/f.py", "@@ -2,4 +2,4 @@", " ", " ", " @defer\r",
        "-def f(): ...", "\\ No newline at end of file",
        "+async def f(): ...", "\\ No newline at end of file",
    ]  # fmt: skip


def test_nothing_wrong_means_nothing_to_do(plan: PlanOf) -> None:
    assert plan(**{"defer/send_mail.py": MAIL}) == Plan()
