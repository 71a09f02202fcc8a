from __future__ import annotations

import click
import pytest

from defer_cli.names import function_name


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("send_mail", "send_mail"),
        ("sendWelcomeEmail", "send_welcome_email"),
        ("SendMail", "send_mail"),
        ("send-mail", "send_mail"),
        ("send mail", "send_mail"),
        ("importHTTPLogs2", "import_http_logs2"),
    ],
)
def test_names_become_those_of_python_functions(typed: str, name: str) -> None:
    assert function_name(typed) == name


@pytest.mark.parametrize(
    "typed",
    ["", " ", "2fa", "class", "match", "a/b", "..", "x.py", "_private", "test_x", "x_test", "conftest"],
)
def test_what_is_no_name_is_refused(typed: str) -> None:
    with pytest.raises(click.UsageError):
        function_name(typed)


def test_names_that_could_be_mistaken_for_others_are_refused() -> None:
    with pytest.raises(click.UsageError, match="letters"):
        function_name("sénd")
