from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from defer_emulator.config import Config

from .conftest import Check

InApp = Callable[..., list[tuple[str, int, str]]]

MAIL = "from defer_client import defer\n@defer\nasync def send_mail(x: int = 0) -> int:\n    return x\n"
CRON = 'from defer_client import defer\n@defer.cron("0 8 * * MON")\nasync def clean_up() -> None: ...\n'


@pytest.fixture
def in_app(check: Check) -> InApp:
    """The codes, lines and fixes of what is found in a file of the application."""

    def in_app(text: str, file: str = "app.py", **more: str) -> list[tuple[str, int, str]]:
        files = {"defer/send_mail.py": MAIL, "defer/clean_up.py": CRON, file: textwrap.dedent(text), **more}
        return [(each.code, each.line, each.fix) for each in check(files).diagnostics if each.file == file]

    return in_app


def codes(found: list[tuple[str, int, str]]) -> list[str]:
    return [code for code, _, _ in found]


# --- calls that are never awaited -----------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "send_mail(1)",
        "[send_mail(x) for x in range(3)]",
        "(send_mail(1), send_mail(2))",
        "send_mail(1) if True else None",
        "True and send_mail(1)",
        "send_mail.with_options(delay=3)(1)",
        "delay(send_mail, '1 day')(1)",
        "await_result(send_mail)(1)",
        "dc.add_metadata(dc.delay(send_mail, 3), {'a': 'b'})(1)",
        "later = delay(send_mail, '1 day'); later(1)",
        "task = send_mail(1)",
        "mail = send_mail; mail(1)",
        "tasks = [send_mail(x) for x in range(3)]",
        "task: object = send_mail(1)",
        "if send_mail(1): ...",
        "while not send_mail(1): ...",
        "assert True and send_mail(1)",
        "try: import nothing\n            except ImportError: send_mail(1)",
        "with open('x') as f: send_mail(f)",
        "[send_mail(y) for y in range(3) if y]",
    ],
)
def test_a_call_that_is_never_awaited_is_found(in_app: InApp, statement: str) -> None:
    found = in_app(
        f"""
        import defer_client as dc
        from defer_client import delay, await_result
        from defer.send_mail import send_mail
        async def main():
            {statement}
        """
    )
    assert set(codes(found)) == {"DF015"}
    assert all(line == 6 + statement.count("\n") and fix.startswith("write await ") for _, line, fix in found)


@pytest.mark.parametrize(
    "statement",
    [
        "await send_mail(1)",
        "return send_mail(1)",
        "yield send_mail(1)",
        "await asyncio.gather(send_mail(1), *[send_mail(x) for x in range(3)])",
        "asyncio.create_task(send_mail(1))",
        "task = send_mail(1); await task",
        "send_mail.enqueue(1)",
        "await send_mail.local(1)",
        "sync.await_result(send_mail)(1)",
        "print(send_mail)",
        "coroutines.append(send_mail(1))",
        "async with asyncio.TaskGroup() as group: group.create_task(send_mail(1))",
        "task = send_mail(1)\n        def later(): return task",
        "jobs = [send_mail(x) for x in range(3)]; await asyncio.gather(*jobs)",
        "await asyncio.wait_for(send_mail(1), 3)",
        "return [send_mail(x) for x in range(3)]",
        "send = lambda x: send_mail(x)",
        "if await send_mail(1): ...",
        "if send_mail: ...",
        "asyncio.run(send_mail(1))",
        "loop.run_until_complete(send_mail(1))",
        "send_mail(1).close()",
    ],
)
def test_calls_that_are_used_are_fine(in_app: InApp, statement: str) -> None:
    text = f"""
    import asyncio
    from defer_client import sync
    from defer.send_mail import send_mail
    async def main(coroutines):
        {statement}
    """
    assert in_app(text) == []


def test_code_that_is_not_async_is_told_to_enqueue(in_app: InApp) -> None:
    ((code, line, fix),) = in_app("from defer.send_mail import send_mail as mail\ndef main():\n    mail(1)\n")
    assert (code, line) == ("DF015", 3)
    assert fix == "write mail.enqueue(...), or await it in async code"


def test_await_result_in_code_that_is_not_async_is_told_of_sync(in_app: InApp) -> None:
    text = "from defer_client import await_result\nfrom defer.send_mail import send_mail\n"
    text += "await_result(send_mail)(1)\n"
    ((_, _, fix),) = in_app(text)
    assert "defer_client.sync" in fix


@pytest.mark.parametrize(
    "text",
    [
        "import defer.send_mail\ndefer.send_mail.send_mail(1)\n",
        "import defer.send_mail as m\nm.send_mail(1)\n",
        "from defer import send_mail\nsend_mail.send_mail(1)\n",
        "def main():\n    from defer.send_mail import send_mail\n    send_mail(1)\n",
        "def main():\n    send_mail(1)\ntry:\n    from defer.send_mail import send_mail\nfinally: ...\n",
        "class Mailer:\n    def go(self):\n        send_mail(1)\nfrom defer.send_mail import send_mail\n",
        "from defer.send_mail import *\nsend_mail(1)\n",
        "try:\n from defer.send_mail import send_mail\nexcept OSError:\n send_mail = None\nsend_mail(1)\n",
        "from defer.send_mail import send_mail\nclass A:\n    def send_mail(self):\n        send_mail(1)\n",
        "def main():\n    mail(1)\nfrom defer.send_mail import send_mail\nmail = send_mail\n",
        "from defer.send_mail import send_mail as s\ndef main(x=s):\n    def inner():\n        s(1)\n",
    ],
)
def test_every_way_to_import_a_function_is_followed(in_app: InApp, text: str) -> None:
    assert codes(in_app(text)) == ["DF015"]


@pytest.mark.parametrize(
    "text",
    [
        "def main(send_mail):\n    send_mail(1)\n",
        "def main():\n    send_mail = print\n    send_mail(1)\n",
        "def main():\n    for send_mail in [print]:\n        send_mail(1)\n",
        "def main():\n    def send_mail(x): ...\n    send_mail(1)\n",
        "main = lambda send_mail: [send_mail(1)]\n",
        "def main():\n    with open('x') as send_mail:\n        send_mail(1)\n",
        "def main():\n    [send_mail(1) for send_mail in [print]]\n",
        "def main(x):\n    match x:\n        case send_mail: send_mail(1)\n",
        "def main():\n    try: ...\n    except OSError as send_mail: send_mail(1)\n",
        "def main():\n    class send_mail: ...\n    send_mail(1)\n",
        "main = lambda *send_mail: [send_mail(1)]\n",
        "def main():\n    send_mail: object = print\n    send_mail(1)\n",
    ],
)
def test_another_thing_of_the_same_name_is_left_alone(in_app: InApp, text: str) -> None:
    assert in_app("from defer.send_mail import send_mail\n" + text) == []


def test_functions_that_call_each_other_are_judged_too(check: Check) -> None:
    text = """
    from defer_client import defer
    from .send_mail import send_mail
    from ._helpers import help_out
    @defer
    async def greet() -> None:
        send_mail(1)
        greet()
    """
    helpers = "from .send_mail import send_mail\ndef help_out():\n    send_mail(1)\n"
    files = {"defer/send_mail.py": MAIL, "defer/greet.py": text, "defer/_helpers.py": helpers}
    found = [(each.file, each.line) for each in check(files).diagnostics if each.code == "DF015"]
    assert found == [("defer/_helpers.py", 3), ("defer/greet.py", 7), ("defer/greet.py", 8)]


def test_functions_that_other_files_pass_on_are_followed(in_app: InApp) -> None:
    more = {
        "shop/__init__.py": "from .tasks import mail\n",
        "shop/tasks.py": "from defer.send_mail import send_mail as mail\nfrom defer import clean_up\n",
        "shop/unrelated.py": "def mail(x): ...\n",
    }
    ways = {
        "from shop.tasks import mail\nmail(1)\n": "DF015",
        "import shop\nshop.mail(1)\n": "DF015",
        "from shop import tasks as t\nt.mail(1)\n": "DF015",
        "from .tasks import clean_up\nclean_up.clean_up()\n": "DF014",
        "from shop.unrelated import mail\nmail(1)\n": None,
    }
    for text, code in ways.items():
        assert codes(in_app(text, "shop/views.py", **more)) == ([code] if code else []), text


def test_files_that_pass_each_other_on_in_circles_end(in_app: InApp) -> None:
    more = {"a.py": "from b import send_mail\n", "b.py": "from a import send_mail\nimport defer\n"}
    assert in_app("from a import send_mail\nsend_mail(1)\n", **more) == []


def test_relative_imports_of_a_package_are_followed(check: Check) -> None:
    files = {
        "src/shop/__init__.py": "",
        "src/shop/defer/__init__.py": "",
        "src/shop/defer/send_mail.py": MAIL,
        "src/shop/views/__init__.py": "from ..defer.send_mail import send_mail\nsend_mail(1)\n",
        "src/shop/app.py": "from .defer.send_mail import send_mail\nsend_mail(1)\n",
        "src/other.py": "from shop.defer.send_mail import send_mail\nsend_mail(1)\n",
    }
    found = check(files, Config(folders=("src/shop/defer",))).diagnostics
    assert [(each.file, each.code) for each in found] == [
        ("src/other.py", "DF015"),
        ("src/shop/app.py", "DF015"),
        ("src/shop/views/__init__.py", "DF015"),
    ]


def test_tests_may_do_what_they_want(check: Check) -> None:
    text = "from defer.send_mail import send_mail\nsend_mail(1)\n"
    files = {"defer/send_mail.py": MAIL, "tests/x.py": text, "test_x.py": text, "conftest.py": text}
    assert check(files).diagnostics == ()


def test_a_broken_init_is_found_and_broken_files_that_are_ignored_or_outside_are_not(check: Check) -> None:
    ignored = {f"defer/{name}.py": "def (" for name in ("_x", "test_x", "x_test", "conftest")}
    files = {"defer/send_mail.py": MAIL, "app.py": "from defer import (\n", **ignored}
    assert check(files).diagnostics == ()
    (found,) = check({**files, "defer/__init__.py": "def ("}).diagnostics
    assert (found.file, found.code) == ("defer/__init__.py", "DF008")


# --- crons ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "clean_up()",
        "await clean_up()",
        "clean_up.enqueue()",
        "clean_up.with_options(delay=1)",
        "await await_result(clean_up)()",
        "delay(clean_up, 3)",
        "sync.await_result(clean_up)()",
        "await asyncio.gather(clean_up())",
        "Route('/', AsgiRoute(clean_up))",
        "asyncio.create_task(clean_up())",
        "x = lambda: clean_up()",
    ],
)
def test_a_cron_called_by_the_application_is_found_once(in_app: InApp, statement: str) -> None:
    found = in_app(
        f"""
        import asyncio
        from defer_client import delay, await_result, sync
        from defer_client.adapters import AsgiRoute
        from defer.clean_up import clean_up
        async def main():
            {statement}
        """
    )
    assert codes(found) == ["DF014"]
    assert found[0][1] == 7 and "defer run clean_up" in found[0][2]


@pytest.mark.parametrize("statement", ["await clean_up.local()", "print(clean_up)", "clean_up.name.upper()"])
def test_looking_at_a_cron_or_running_its_body_is_fine(in_app: InApp, statement: str) -> None:
    assert in_app(f"from defer.clean_up import clean_up\nasync def main():\n    {statement}\n") == []


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    ["await send_mail(1)", "send_mail.enqueue(1)", "await wait(send_mail)(1)", "send_mail(1)"],
)
def test_a_module_that_is_called_is_found(in_app: InApp, statement: str) -> None:
    wait = "from defer_client import await_result as wait\n"
    text = wait + f"from defer import send_mail\nasync def f():\n    {statement}\n"
    ((code, _, fix),) = in_app(text)
    assert (code, fix) == ("DF018", "write from defer.send_mail import send_mail")


def test_a_package_may_make_its_functions_known(in_app: InApp) -> None:
    more = {"defer/__init__.py": "from .send_mail import send_mail\n"}
    assert in_app("from defer import send_mail\nasync def f():\n    await send_mail(1)\n", **more) == []
    assert codes(in_app("from defer import send_mail\nsend_mail(1)\n", **more)) == ["DF015"]


@pytest.mark.parametrize("order", [0, 1])
def test_two_meanings_of_defer_in_one_file_are_found_at_the_second(in_app: InApp, order: int) -> None:
    lines = ["from defer_client import defer", "import defer.send_mail"]
    found = in_app("\n".join(lines[::-1] if order else lines) + "\n")
    assert [(code, line) for code, line, _ in found] == [("DF013", 2)]


@pytest.mark.parametrize(
    "text",
    [
        "from defer_client import defer\nimport defer.send_mail as m\n",
        "from defer_client import defer as background\nimport defer.send_mail\n",
        "from defer_client import defer\nfrom defer.send_mail import send_mail\n",
        "import defer_client\nimport defer.send_mail\n",
    ],
)
def test_names_that_do_not_meet_are_fine(in_app: InApp, text: str) -> None:
    assert in_app(text) == []


def test_files_of_the_application_that_cannot_be_read_are_passed_over(check: Check, tmp_path: Path) -> None:
    (tmp_path / "gone.py").symlink_to("nowhere")
    (tmp_path / "latin.py").write_bytes(b"# defer \xff")
    assert check({"defer/send_mail.py": MAIL}).diagnostics == ()


def test_very_deep_code_stops_nobody(check: Check) -> None:
    deep = "x = " + " + ".join(["1"] * 700) + "\n"
    branches = "if x == 0: ...\n" + "".join(f"elif x == {n}: ...\n" for n in range(400))
    late = "from defer.send_mail import send_mail\nsend_mail(1)\n"
    files = {"defer/send_mail.py": MAIL + deep + branches, "app.py": late + deep, "b.py": late}
    found = check(files).diagnostics
    assert [(each.file, each.code) for each in found] == [("app.py", "DF015"), ("b.py", "DF015")]
