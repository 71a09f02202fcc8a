from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from defer_emulator.config import CHECKS, Config, ConfigError, Notifications, Retention, parse_size


def load(root: Path, text: str, name: str = "defer.toml", **environ: str) -> Config:
    (root / name).write_text(text, encoding="utf-8")
    return Config.load(root, environ)


def refused(root: Path, text: str, name: str = "defer.toml") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(root, text, name)
    return caught.value


def test_a_project_without_settings_has_the_defaults(tmp_path: Path) -> None:
    config = Config.load(tmp_path, {})
    assert (config.host, config.port, config.max_concurrency) == ("127.0.0.1", None, 100)
    assert (config.durability, config.env_file, config.folders) == ("normal", ".env", ())


def test_every_setting_has_a_check_and_the_other_way_round() -> None:
    assert list(CHECKS) == [field.name for field in fields(Config)]


def test_all_settings_are_read_from_pyproject(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        [project]
        name = "shop"
        [tool.defer]
        folders = ["billing/defer", "shipping/defer"]
        host = "0.0.0.0"
        port = 4000
        token = "s3cret"
        allowed_hosts = ["shop.test"]
        max_concurrency = 5
        memory_limit = "512 MiB"
        durability = "full"
        retention = "7 days"
        python = ".venv/bin/python"
        env_file = "settings.env"
        worker_start = "spawn"
        setup = "shop.boot:setup"
        after_fork = "shop.boot:after_fork"
        notifications = "https://hooks.slack.test/x"
        """,
        "pyproject.toml",
    )
    assert config == Config(
        folders=("billing/defer", "shipping/defer"),
        host="0.0.0.0",
        port=4000,
        token="s3cret",
        allowed_hosts=("shop.test",),
        max_concurrency=5,
        memory_limit=512 * 1024**2,
        durability="full",
        retention=Retention(age=timedelta(days=7)),
        python=".venv/bin/python",
        env_file="settings.env",
        worker_start="spawn",
        setup="shop.boot:setup",
        after_fork="shop.boot:after_fork",
        notifications=Notifications(url="https://hooks.slack.test/x"),
    )


def test_defer_toml_has_its_keys_at_the_top(tmp_path: Path) -> None:
    assert load(tmp_path, "port = 1234").port == 1234


def test_settings_in_both_files_are_refused_naming_both(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.defer]\nport = 1\n")
    error = refused(tmp_path, "port = 2")
    assert "defer.toml" in str(error) and "pyproject.toml" in str(error)


def test_an_empty_defer_toml_beside_pyproject_is_no_conflict(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.defer]\nport = 7\n")
    assert load(tmp_path, "# marks the root\n").port == 7


def test_an_unknown_key_names_its_place_and_the_nearest_key(tmp_path: Path) -> None:
    error = refused(tmp_path, '[project]\nname = "x"\n\n[tool.defer]\nmax-concurency = 3\n', "pyproject.toml")
    assert str(error).startswith("pyproject.toml:5: unknown key 'max-concurency'")
    assert error.hint == "did you mean 'max_concurrency'?"
    assert error.line == 5


def test_a_key_of_the_same_name_in_another_table_is_not_the_place(tmp_path: Path) -> None:
    error = refused(tmp_path, "[tool.other]\nport = 1\n[tool.defer]\nport = -1\n", "pyproject.toml")
    assert error.line == 4


def test_a_section_in_defer_toml_is_explained(tmp_path: Path) -> None:
    error = refused(tmp_path, "[tool.defer]\nport = 1\n")
    assert "without a section" in error.hint


def test_an_unknown_key_far_from_all_lists_the_keys(tmp_path: Path) -> None:
    assert "max_concurrency" in refused(tmp_path, "zzz = 1").hint


@pytest.mark.parametrize(
    ("line", "expected", "got"),
    [
        ('port = "80"', "integer from 0 to 65535", "'80' (a string)"),
        ("port = 65536", "integer from 0 to 65535", "65536 (an integer)"),
        ("port = true", "integer", "true (a boolean)"),
        ("host = 1", "a text", "1 (an integer)"),
        ('host = ""', "a text", "'' (a string)"),
        ('folders = "defer"', "an array of texts", "'defer' (a string)"),
        ("folders = [1]", "an array of texts", "[1] (an array)"),
        ("max_concurrency = 0", "integer of 1 or more", "0"),
        ("max_concurrency = 1.5", "integer", "1.5 (a number)"),
        ('memory_limit = "lots"', '"512 MiB"', "'lots'"),
        ("memory_limit = 512", "at least 16 MiB", "512"),
        ('durability = "fast"', '"normal" or "full"', "'fast'"),
        ('retention = "soon"', "7 days", "'soon'"),
        ("retention = 7", "7 days", "7 (an integer)"),
        ('retention = "7"', "7 days", "'7'"),
        ('worker_start = "thread"', '"fork" or "spawn"', "'thread'"),
        ('setup = "shop.boot"', '"module:function"', "'shop.boot'"),
        ('setup = "shop boot:x"', '"module:function"', "'shop boot:x'"),
        ("token = 2026-01-01", "a text", "(a date or time)"),
        ('notifications = "slack"', "an address", "'slack'"),
        ('notifications = { address = "https://x.test" }', "an address", "(a table)"),
    ],
)
def test_a_wrong_value_says_what_was_expected_and_what_came(
    tmp_path: Path, line: str, expected: str, got: str
) -> None:
    message = str(refused(tmp_path, f"\n{line}\n"))
    assert message.startswith(f"defer.toml:2: {line.split(' ')[0]} must be ")
    assert expected in message and got in message


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    error = refused(tmp_path, "port = 1\nhost = \n")
    assert error.line == 2
    assert "not valid TOML" in str(error)


def test_a_broken_pyproject_is_told_also_where_it_never_mentions_defer(tmp_path: Path) -> None:
    error = refused(tmp_path, "[project\n", "pyproject.toml")
    assert str(error).startswith("pyproject.toml:1: not valid TOML")


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "defer.toml").write_bytes(b"port = 1\nhost = '\xff'\n")
    with pytest.raises(ConfigError, match=r"defer\.toml:2: not valid UTF-8"):
        Config.load(tmp_path, {})


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "defer.toml").write_bytes(b"\xef\xbb\xbfport = 9\n")
    assert Config.load(tmp_path, {}).port == 9


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "defer.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        Config.load(tmp_path, {})


def test_tool_defer_must_be_a_table(tmp_path: Path) -> None:
    assert "must be a table" in str(refused(tmp_path, "[tool]\ndefer = 3\n", "pyproject.toml"))


def test_a_secret_address_comes_from_the_environment(tmp_path: Path) -> None:
    line = 'notifications = { url = "https://hooks.slack.test/${SLACK_KEY}" }'
    assert load(tmp_path, line, SLACK_KEY="abc").notifications.url == "https://hooks.slack.test/abc"
    without = load(tmp_path, line).notifications
    assert (without.url, without.missing) == (None, ("SLACK_KEY",))
    for whole in ("$SLACK_URL", "${SLACK_URL}", "env:SLACK_URL"):
        found = load(tmp_path, f'notifications = "{whole}"', SLACK_URL="https://hooks.slack.test/x")
        assert found.notifications.url == "https://hooks.slack.test/x"


def test_a_secret_address_may_be_in_the_env_file_but_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "local.env").write_text("SLACK_URL=https://hooks.slack.test/file\n")
    text = 'env_file = "local.env"\nnotifications = "env:SLACK_URL"'
    assert load(tmp_path, text).notifications.url == "https://hooks.slack.test/file"
    found = load(tmp_path, text, SLACK_URL="https://hooks.slack.test/set")
    assert found.notifications.url == "https://hooks.slack.test/set"


def test_what_is_told_and_how_can_be_chosen(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
        [notifications]
        url = "https://example.test/hook"
        format = "slack"
        events = ["failed", "missed"]
        link = "https://defer.example.test"
        """,
    ).notifications
    assert (found.format, found.events, found.link) == (
        "slack",
        ("failed", "missed"),
        "https://defer.example.test",
    )


@pytest.mark.parametrize(
    "line",
    [
        'format = "xml"',
        "events = []",
        'events = ["succeed"]',
        'events = "failed"',
        'link = "x"',
        "url = 3",
        "urls = 3",
    ],
)
def test_a_wrong_setting_of_notifications_is_refused_without_its_address(tmp_path: Path, line: str) -> None:
    address = "" if line.startswith("url =") else 'url = "https://hooks.slack.test/s3cret"\n'
    message = str(refused(tmp_path, f"[notifications]\n{address}{line}"))
    assert message.startswith("defer.toml:1: notifications must be ") and "s3cret" not in message


def test_no_address_is_shown_by_a_look_at_the_settings(tmp_path: Path) -> None:
    config = load(tmp_path, 'notifications = "https://hooks.slack.test/s3cret"')
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512 MiB", 512 * 1024**2),
        ("512MB", 512 * 10**6),
        ("1.5GiB", 3 * 1024**3 // 2),
        ("64k", 65_536),
        ("100", 100),
        ("20 B", 20),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "1 XB", "-5 MB", "1e9", "1 2 MB"])
def test_other_texts_are_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)
