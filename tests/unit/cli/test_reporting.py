"""The report of an unexpected error says what helps, and nothing that is private."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from defer_cli.reporting import summary, write_report

ENVIRONMENT = {
    "DEFER_TOKEN": "tok-1234",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
    "HOME": "/home/ada",
    "EDITOR": "nano",
    "PIN_CODE_TOKEN": "12",  # too short to be looked for
}
GIVEN = ["run", "send_mail", "ada@example.com", "--api-key=hunter2!", "--token", "sesame", "-o", "json"]


def crash(text: str) -> Exception:
    try:
        raise ZeroDivisionError(text)
    except ZeroDivisionError as error:
        return error


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_it_tells_the_command_the_options_and_where_it_happened() -> None:
    text = write_report(crash("ours"), GIVEN, "run", ENVIRONMENT).read_text()
    assert "arguments: run … … --api-key=… --token … -o …" in text
    assert "ZeroDivisionError: ours" in text
    assert "test_reporting.py" in text


@pytest.mark.parametrize(
    "secret", ["ada@example.com", "hunter2!", "sesame", "tok-1234", "wJalrXUtnFEMI", "/home/ada"]
)
def test_values_and_secrets_are_left_out_wherever_they_stand(secret: str) -> None:
    error = crash(f"cannot send {secret}, sorry")
    assert secret not in write_report(error, GIVEN, "run", ENVIRONMENT).read_text()
    assert secret not in summary(error, GIVEN, "run", ENVIRONMENT)


def test_passwords_of_addresses_are_left_out() -> None:
    text = summary(crash("postgres://ada:hunter3@db:5432/x refused"), [], "", ENVIRONMENT)
    assert text == "ZeroDivisionError: postgres://…@db:5432/x refused"


def test_only_this_user_can_read_it() -> None:
    path = write_report(crash("x"), [], "", ENVIRONMENT)
    assert path.name.startswith("defer-report-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
