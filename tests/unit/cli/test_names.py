from __future__ import annotations

import click
import pytest

from defer_cli.names import folder_name, function_name


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("send_mail", "send_mail"),
        ("sendWelcomeEmail", "send_welcome_email"),
        ("SendMail", "send_mail"),
        ("send-mail", "send_mail"),
        ("send mail", "send_mail"),
        ("send.mail", "send_mail"),
        ("importHTTPLogs2", "import_http_logs2"),
    ],
)
def test_names_become_those_of_python_functions(typed: str, name: str) -> None:
    assert function_name(typed) == name


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "2fa", "class", "match", "a/b", "..", "x.py", "_private", "test_x", "x_test", "conftest",
        "a\\b", "/etc/passwd", "~", "-x", "a\0b", "x" * 101, "__init__", "a;b", "$HOME",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(typed: str) -> None:
    with pytest.raises(click.UsageError):
        function_name(typed)


def test_names_that_could_be_mistaken_for_others_are_refused() -> None:
    with pytest.raises(click.UsageError, match="letters"):
        function_name("sénd")


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("print", "built into Python"),
        ("List", "built into Python"),
        ("json", "standard library"),
        ("asyncio", "standard library"),
        ("defer", "a package of this tool"),
        ("deferClient", "a package of this tool"),
        ("2fa", "begins with a digit"),
        ("async", "word of the Python language"),
        ("../x", "is a path"),
        ("testThings", "would be ignored"),
        ("x" * 101, "101 characters"),
    ],
)
def test_the_reason_is_told(typed: str, reason: str) -> None:
    with pytest.raises(click.UsageError, match=reason):
        function_name(typed)


@pytest.mark.parametrize("typed", ["", "..", "2a", "class", "tests", "specs", "node_modules", "a b", ".x"])
def test_what_cannot_be_a_folder_of_functions_is_refused(typed: str) -> None:
    with pytest.raises(click.UsageError):
        folder_name(typed)


def test_a_folder_may_be_called_like_a_module_because_its_package_is_around_it() -> None:
    assert folder_name("email") == "email"
