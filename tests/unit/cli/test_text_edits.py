"""Settings are inserted into files that people wrote; every other line stays as it is."""

from __future__ import annotations

import pytest

from defer_cli.text_edits import EditRefused, ini_item, json_item, toml_comment, toml_item, toml_value

TABLE = "tool.pytest.ini_options"


def added(before: str, after: str) -> list[str]:
    """The lines that are new. Fails where one of before has changed or moved."""
    old, new = before.splitlines(), after.splitlines()
    position, found = 0, []
    for line in new:
        if position < len(old) and line == old[position]:
            position += 1
        else:
            found.append(line)
    assert position == len(old), f"a line was changed: {old[position]!r}"
    return found


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", ["[tool.pytest.ini_options]", 'pythonpath = ["src"]']),
        ('[project]\nname = "x"  # mine', ["", "[tool.pytest.ini_options]", 'pythonpath = ["src"]']),
        ("[tool.pytest.ini_options]  # tests\nminversion = 8\n", ['pythonpath = ["src"]']),
        ("[ tool . pytest . ini_options ]\n[tool.x]\na=1\n", ['pythonpath = ["src"]']),
        ('["tool"."pytest".ini_options]', ['pythonpath = ["src"]']),
        ("[tool.pytest.ini_options]\npythonpath = [\n  # libraries\n  'lib',\n]\n", ['  "src",']),
        ("[tool.pytest.ini_options]\npythonpath = [ # libraries\n]\n", ['    "src",']),
        ("[tool.x]\npythonpath = ['no']\n[tool.pytest.ini_options]\na = 1\n", ['pythonpath = ["src"]']),
        (
            "[tool.pytest.ini_options.more]\na = 1\n",
            ["", "[tool.pytest.ini_options]", 'pythonpath = ["src"]'],
        ),
        ("[[tool.x.y]]\na = 1\n", ["", "[tool.pytest.ini_options]", 'pythonpath = ["src"]']),
    ],
)
def test_only_lines_are_added_to_toml(before: str, expected: list[str]) -> None:
    after = toml_item(before, TABLE, "pythonpath", "src")
    assert added(before, after) == expected
    assert toml_item(after, TABLE, "pythonpath", "src") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('pythonpath = ["lib"]  # mine', 'pythonpath = ["src", "lib"]  # mine'),
        ("pythonpath = []", 'pythonpath = ["src"]'),
        ("'pythonpath'=[ 'lib' ]", "'pythonpath'=[\"src\",  'lib' ]"),
        ('pythonpath = "lib other"', 'pythonpath = "src lib other"'),
        ('pythonpath = ["src"]', 'pythonpath = ["src"]'),
        ('pythonpath = "lib src"', 'pythonpath = "lib src"'),
    ],
)
def test_an_array_takes_one_item_more(before: str, after: str) -> None:
    header = f"[{TABLE}]\n"
    assert toml_item(f"{header}{before}\n", TABLE, "pythonpath", "src") == f"{header}{after}\n"


def test_the_ends_of_lines_and_a_byte_order_mark_are_kept() -> None:
    before = '\ufeff[tool.pytest.ini_options]\r\nminversion = "8"\r\n'
    after = toml_item(before, TABLE, "pythonpath", "src")
    assert after == '\ufeff[tool.pytest.ini_options]\r\npythonpath = ["src"]\r\nminversion = "8"\r\n'
    assert toml_value("\ufeff# mine\r\nport = 1\r\n", "", "setup", "a:b") == (
        '\ufeff# mine\r\nsetup = "a:b"\r\nport = 1\r\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        'tool.pytest.ini_options.addopts = "-q"\n',  # a header for it would define it twice
        '[tool]\npytest = {ini_options = {addopts = "-q"}}\n',
        "[tool.pytest]\nini_options = 3\n",
        "[tool.pytest.ini_options]\npythonpath = 3\n",
        "[tool.pytest.ini_options]\npythonpath = [['a']]\n",
        'text = """\n[tool.pytest.ini_options]\n"""\n[tool.pytest.ini_options]\n',  # a header in a text
        "[tool.pytest.ini_options\n",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(EditRefused):
        toml_item(text, TABLE, "pythonpath", "src")


def test_a_value_is_set_only_where_there_is_none() -> None:
    first = toml_value("", "tool.defer", "setup", "shop.hooks:setup", "why")
    assert first == '[tool.defer]\nsetup = "shop.hooks:setup"  # why\n'
    assert toml_value(first, "tool.defer", "setup", "other:setup") == first
    assert toml_comment(first, "tool.defer", "nothing") == first
    assert toml_comment("a = 1\n", "tool.defer", "help") == "a = 1\n\n[tool.defer]\n# help\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[pytest]\npythonpath = src\n"),
        ("[tox]\nenvlist = py3", "[tox]\nenvlist = py3\n\n[pytest]\npythonpath = src\n"),
        ("[pytest]\naddopts = -q\n", "[pytest]\npythonpath = src\naddopts = -q\n"),
        ("[pytest]", "[pytest]\npythonpath = src\n"),
        ("[pytest]\npythonpath = lib\n", "[pytest]\npythonpath = src lib\n"),
        ("[pytest]\r\npythonpath=\r\n  lib\r\n", "[pytest]\r\npythonpath= src\r\n  lib\r\n"),
        ("[pytest]\npythonpath =\n  lib\n  src\n", "[pytest]\npythonpath =\n  lib\n  src\n"),
        ("[pytest]\n[other]\npythonpath = x\n", "[pytest]\npythonpath = src\n[other]\npythonpath = x\n"),
    ],
)
def test_ini_files_take_a_word_more(before: str, after: str) -> None:
    assert ini_item(before, "pytest", "pythonpath", "src") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n    "extraPaths": ["src"]\n}'),
        ('{"strict": ["a"]}', '{"extraPaths": ["src"], "strict": ["a"]}'),
        ('{\n\t// types\n\t"x": 1,\n}\n', '{\n\t"extraPaths": ["src"],\n\t// types\n\t"x": 1,\n}\n'),
        ('{"extraPaths": ["lib"]}', '{"extraPaths": ["src", "lib"]}'),
        ('{"extraPaths": []}', '{"extraPaths": ["src"]}'),
        ('{"extraPaths": ["src"]}', '{"extraPaths": ["src"]}'),
        ('{"u": "//x/*.py", /* a */ "y": 1}', '{"extraPaths": ["src"], "u": "//x/*.py", /* a */ "y": 1}'),
    ],
)  # fmt: skip
def test_json_files_with_comments_take_an_item_more(before: str, after: str) -> None:
    assert json_item(before, "extraPaths", "src") == after


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"extraPaths": 1}', '// {"extraPaths": ["x"]}\n{"extraPaths": ["y"]}']
)
def test_json_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(EditRefused):
        json_item(text, "extraPaths", "src")
