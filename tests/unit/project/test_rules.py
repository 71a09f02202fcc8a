from __future__ import annotations

import json
from pathlib import Path

import pytest

from defer_emulator.config import Config
from defer_emulator.domain.functions import FunctionSpec, Parameter
from defer_emulator.project.check import CheckResult, Imported, ImportFailure, check_project
from defer_emulator.project.diagnostics import CODES, Diagnostic, in_order, problem, source_line, to_json
from defer_emulator.project.fixes import plan_fixes
from defer_emulator.project.rules import import_problem, python_name

from .conftest import Check, Write

USE = "from defer_client import defer\n"
GOOD = USE + "@defer\nasync def good(x: int) -> int:\n    return x\n"


def codes(result: CheckResult) -> list[str]:
    return [found.code for found in result.diagnostics]


def only(result: CheckResult, code: str) -> Diagnostic:
    (found,) = [each for each in result.diagnostics if each.code == code]
    return found


def test_a_correct_project_has_no_findings(check: Check) -> None:
    result = check({"defer/good.py": GOOD})
    assert result.diagnostics == ()
    assert not result.has_errors


def test_one_bad_file_never_stops_the_others(check: Check) -> None:
    result = check({"defer/a.py": "def (", "defer/good.py": GOOD, "defer/z.py": ""})
    assert codes(result) == ["DF008", "DF001"]
    assert [found.file for found in result.diagnostics] == ["defer/a.py", "defer/z.py"]


# --- names and files ------------------------------------------------------------------------------


def test_a_function_that_is_not_named_after_its_file_is_found(check: Check) -> None:
    found = only(check({"defer/send_mail.py": USE + "@defer\nasync def send(): ...\n"}), "DF001")
    assert (found.place, found.width) == ("defer/send_mail.py:3:11", len("send"))
    assert found.fix == "rename the function to send_mail, or the file to send.py"


def test_a_plain_function_named_after_its_file_needs_the_decorator(check: Check) -> None:
    found = only(check({"defer/send_mail.py": "\n\nasync def send_mail(): ...\n"}), "DF001")
    assert (found.line, found.fix) == (3, "put @defer above send_mail")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "x = 1\n"])
def test_a_file_without_a_function_is_found(check: Check, text: str) -> None:
    found = only(check({"defer/empty.py": text}), "DF001")
    assert "holds no background function" in found.message and "_empty.py" in found.fix


def test_a_name_that_differs_from_the_functions_own_is_found(check: Check) -> None:
    text = USE + "async def _mail(): ...\nsend_mail = defer(_mail)\n"
    assert only(check({"defer/send_mail.py": text}), "DF001").fix == "rename the function to send_mail"


def test_several_functions_in_one_file_are_found(check: Check) -> None:
    text = GOOD + "@defer\nasync def other(): ...\n"
    found = only(check({"defer/good.py": text}), "DF002")
    assert (found.line, found.fix) == (6, "move other to other.py")


def test_alternatives_of_one_function_are_one(check: Check) -> None:
    text = USE + "if 1:\n    @defer\n    async def f(): ...\nelse:\n    @defer\n    async def f(): ...\n"
    assert codes(check({"defer/f.py": text})) == []


def test_a_function_that_replaces_another_one_of_its_file_is_found(check: Check) -> None:
    text = GOOD + "\n\n@defer(retry=3)\nasync def good() -> None: ...\n"
    found = only(check({"defer/good.py": text}), "DF004")
    assert (found.place, found.width) == ("defer/good.py:8:11", len("good"))
    assert "line 3" in found.message


def test_signatures_that_are_spelled_out_are_one_function(check: Check) -> None:
    text = "from typing import overload\n@overload\nasync def good(x: int) -> int: ...\n"
    text += "@overload\nasync def good(x: str) -> str: ...\n" + USE + "@defer\nasync def good(x): return x\n"
    assert codes(check({"defer/good.py": text})) == []


def test_one_name_in_two_files_is_found_at_the_file_that_is_not_named_so(check: Check) -> None:
    text = USE + "@defer\nasync def bad(): ...\n@defer\nasync def good(): ...\n"
    found = only(check({"defer/bad.py": text, "defer/good.py": GOOD}), "DF004")
    assert (found.file, found.line) == ("defer/bad.py", 5)
    assert "defer/good.py" in found.message


def test_one_name_in_two_folders_is_found(check: Check) -> None:
    assert only(check({"defer/a/good.py": GOOD, "defer/b/good.py": GOOD}), "DF004").file == "defer/b/good.py"


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("send-mail", "send_mail"),
        ("2fa", "fa"),
        ("sendMail 2", "send_mail_2"),
        ("class", "class_"),
        ("send.mail", "send_mail"),
        ("1", "function"),
    ],
)
def test_a_file_that_cannot_be_imported_is_found(check: Check, name: str, better: str) -> None:
    result = check({f"defer/{name}.py": ""})
    assert codes(result) == ["DF017"]
    assert only(result, "DF017").fix == f"rename it to {better}.py"
    assert python_name(name) == better


def test_a_file_that_cannot_be_imported_may_have_the_name_of_its_function(check: Check) -> None:
    assert only(check({"defer/send-mail.py": GOOD}), "DF017").fix == "rename it to good.py"


@pytest.mark.parametrize("folder", ["my-mails", "my.mails", "mails.py"])
def test_a_folder_that_cannot_be_imported_is_found(check: Check, folder: str) -> None:
    assert only(check({f"defer/{folder}/good.py": GOOD}), "DF017").fix == "rename its folder"


# --- functions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", ["a", "a=1", "*a", "**a", "*, a", "*, a=1", "a, /"])
def test_a_cron_takes_no_parameters_of_any_kind(check: Check, parameters: str) -> None:
    text = USE + f'@defer.cron("0 8 * * *")\nasync def f({parameters}): ...\n'
    found = only(check({"defer/f.py": text}), "DF003")
    assert (found.line, text.splitlines()[2][found.column - 1]) == (3, "a")
    assert found.message.startswith("cron functions take no arguments")


def test_the_first_parameter_of_a_cron_is_the_place(check: Check) -> None:
    text = USE + '@defer.cron("0 8 * * *")\nasync def f(\n    größe: int = 1,\n    *b,\n): ...\n'
    found = only(check({"defer/f.py": text}), "DF003")
    assert (found.place, found.width) == ("defer/f.py:4:5", len("größe: int"))


def test_a_function_that_is_not_async_is_a_warning(check: Check) -> None:
    result = check({"defer/f.py": USE + "@defer\ndef f(): ...\n"})
    assert only(result, "DF006").severity == "warning"
    assert (only(result, "DF006").place, only(result, "DF006").width) == ("defer/f.py:3:1", len("def"))
    assert not result.has_errors


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ('"0 8 * * * *"', "6 fields: a cron expression has 5"),
        ('"61 * * * *"', "out of range"),
        ('"0 0 30 2 *"', "never fires"),
        ('"H * * * *"', "'H' is unknown"),
        ("8", "must be a text"),
        ("", "has no cron expression"),
        ("retry=3", "has no cron expression"),
    ],
)
def test_an_invalid_cron_says_why(check: Check, arguments: str, reason: str) -> None:
    found = only(check({"defer/f.py": USE + f"@defer.cron({arguments})\nasync def f(): ...\n"}), "DF005")
    assert reason in found.message
    assert "five fields" in found.fix


def test_a_bare_cron_decorator_has_no_expression(check: Check) -> None:
    assert "DF005" in codes(check({"defer/f.py": USE + "@defer.cron\nasync def f(): ...\n"}))


@pytest.mark.parametrize(
    ("options", "message", "fix"),
    [
        ("concurency=1", "'concurency' is not an option", "did you mean 'concurrency'?"),
        ("concurrency=0", "integer of 1 or more", None),
        ("concurrency=True", "integer of 1 or more", None),
        ("retry='often'", "retry must be", None),
        ("retry={'max_attempt': 1}", "'max_attempt' is not a field of retry", "did you mean 'max_attempts'?"),
        ("max_duration=-1", "max_duration must be", None),
        ("max_concurrency_action='drop'", '"keep" or "cancel"', None),
        ("wrong=LATER", "'wrong' is not an option", None),
        ('"0 8 * * *"', "defer takes a function", "defer.cron"),
    ],
)
def test_an_invalid_option_is_found_where_it_stands(
    check: Check, options: str, message: str, fix: str | None
) -> None:
    result = check({"defer/f.py": USE + f"@defer({options})\nasync def f(): ...\n"})
    found = only(result, "DF007")
    assert (found.line, found.column) == (2, 8)
    assert message in found.message and found.fix
    assert fix is None or fix in found.fix


def test_options_that_only_running_can_tell_are_left_open(check: Check) -> None:
    assert codes(check({"defer/f.py": USE + "@defer(retry=HOW, **MORE)\nasync def f(): ...\n"})) == []


def test_a_generator_is_no_background_function(check: Check) -> None:
    assert (
        "yields"
        in only(check({"defer/f.py": USE + "@defer\nasync def f():\n    yield 1\n"}), "DF007").message
    )
    inner = USE + "@defer\nasync def f():\n    def g():\n        yield 1\n    return list(g())\n"
    assert codes(check({"defer/f.py": inner})) == []


def test_a_result_that_is_not_kept_is_found(check: Check) -> None:
    found = only(check({"defer/f.py": USE + "async def f(): ...\ndefer(f, retry=3)\n"}), "DF019")
    assert "f = defer(f, ...)" in found.fix


@pytest.mark.parametrize(
    ("name", "expression", "differs"),
    [
        ("weekly_mails", "0 8 * * *", True),
        ("weekly_mails", "0 8 * * MON", False),
        ("weekly_mails", "0 8 * * MON,THU", True),
        ("daily_report", "0 8 * * *", False),
        ("daily_report", "0 8 * * MON-FRI", False),
        ("daily_report", "0 8 * * MON", True),
        ("hourly_sync", "5 * * * *", False),
        ("hourly_sync", "*/5 * * * *", True),
        ("hourly_sync", "0 9-17 * * *", False),
        ("monthly_bill", "@monthly", False),
        ("monthly_bill", "@weekly", True),
        ("yearly_bill", "@yearly", False),
        ("bi_weekly_bill", "0 0 1,15 * *", False),
        ("dailyish", "0 0 1 1 *", False),
    ],
)
def test_a_name_that_says_another_frequency_is_a_warning(
    check: Check, name: str, expression: str, differs: bool
) -> None:
    result = check({f"defer/{name}.py": USE + f'@defer.cron("{expression}")\nasync def {name}(): ...\n'})
    assert codes(result) == (["DF016"] if differs else [])
    assert not result.has_errors


# --- folders --------------------------------------------------------------------------------------


def test_two_folders_are_found_unless_the_configuration_lists_them(check: Check) -> None:
    files = {"a/__init__.py": "", "a/defer/__init__.py": "", "a/defer/f.py": GOOD.replace("good", "f")}
    files["defer/good.py"] = GOOD
    found = only(check(files), "DF010")
    assert found.severity == "error" and 'folders = ["a/defer", "defer"]' in found.fix
    assert codes(check(files, Config(folders=("defer", "a/defer")))) == []


def test_two_folders_with_one_import_name_are_found(check: Check) -> None:
    files = {"a/defer/__init__.py": "", "a/defer/f.py": GOOD.replace("good", "f"), "defer/good.py": GOOD}
    found = only(check(files, Config(folders=("defer", "a/defer"))), "DF020")
    assert found.fix.endswith("touch a/__init__.py")


def test_a_file_that_the_other_folder_hides_is_not_told_twice_but_a_missing_package_is(check: Check) -> None:
    files = {"a/defer/__init__.py": "", "a/defer/f.py": GOOD.replace("good", "f"), "defer/good.py": GOOD}
    hidden = ImportFailure(file="defer/good.py", message="ModuleNotFoundError: No module named 'defer.good'")
    missing = ImportFailure(
        file="a/defer/f.py", message="ModuleNotFoundError: No module named 'deferred_lib'"
    )
    config = Config(folders=("defer", "a/defer"))
    found = check(files, config, Imported(failures=[hidden, missing])).diagnostics
    assert [each.message for each in found if each.code == "DF009"] == [missing.message]


def test_a_missing_init_is_a_warning(check: Check, tmp_path: Path) -> None:
    result = check({"defer/good.py": GOOD})
    (tmp_path / "defer" / "__init__.py").unlink()
    result = check({"src/defer/good.py": GOOD}, Config(folders=("src/defer",)))
    found = only(result, "DF011")
    assert (found.severity, found.fix) == ("warning", "create an empty src/defer/__init__.py")


def test_an_installed_package_called_defer_is_found(check: Check, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    (site / "defer").mkdir(parents=True)
    (site / "defer" / "__init__.py").touch()
    found = only(check({"defer/good.py": GOOD}, installed=[site]), "DF012")
    assert found.severity == "warning" and "pip uninstall defer" in found.fix
    unprotected = check({"src/defer/good.py": GOOD}, Config(folders=("src/defer",)), installed=[site])
    assert only(unprotected, "DF012").severity == "error"


def test_an_installed_defer_is_no_danger_to_a_folder_inside_a_package(check: Check, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    (site / "defer").mkdir(parents=True)
    (site / "defer" / "__init__.py").touch()
    files = {"shop/__init__.py": "", "shop/defer/__init__.py": "", "shop/defer/good.py": GOOD}
    assert codes(check(files, Config(folders=("shop/defer",)), installed=[site])) == []


@pytest.mark.parametrize(
    ("files", "package", "severity"),
    [
        (["defer.py", "defer/good.py"], True, None),  # Python takes a package before a file beside it
        (["defer.py", "defer/good.py"], False, "error"),
        (["src/defer.py", "src/defer/good.py"], False, "error"),
        (["defer.py", "src/defer/good.py"], True, "warning"),  # where the application starts in the root
        (["defer.py", "src/defer/good.py"], False, "warning"),
        (["defer.py", "shop/__init__.py", "shop/defer/good.py"], True, None),
        (["defer.pyi", "tests/defer.py", "src/defer/good.py"], True, None),
    ],
)
def test_a_file_that_has_the_name_of_the_folder_is_found_where_it_can_win(
    write: Write, files: list[str], package: bool, severity: str | None
) -> None:
    folder = files[-1].removesuffix("/good.py")
    init = {f"{folder}/__init__.py": ""} if package else {}
    root = write({"pyproject.toml": "", **dict.fromkeys(files, ""), files[-1]: GOOD, **init})
    found = [each for each in check_project(root, Config(), installed=()).diagnostics if each.code == "DF021"]
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all(each.file in files and "rename defer.py" in each.fix for each in found)


# --- what importing adds --------------------------------------------------------------------------


def spec(**changes: object) -> FunctionSpec:
    given = {
        "name": "f",
        "module": "defer.f",
        "file": "defer/f.py",
        "line": 3,
        "kind": "background",
        **changes,
    }
    return FunctionSpec(**given)  # type: ignore[arg-type]


def test_an_import_error_has_the_place_and_a_fix(check: Check) -> None:
    failure = ImportFailure(
        file="defer/good.py",
        at="lib.py",
        line=7,
        message="ModuleNotFoundError: No module named 'requests'",
    )
    found = only(check({"defer/good.py": GOOD}, imported=Imported(failures=[failure])), "DF009")
    assert (found.place, found.fix) == (
        "lib.py:7:1",
        "install requests where the workers run, or correct the name",
    )


def test_an_import_error_that_the_source_explains_is_said_once(check: Check) -> None:
    failure = ImportFailure(file="defer/a.py", at="defer/a.py", message="SyntaxError: invalid syntax")
    other = ImportFailure(file="defer/b.py", at="defer/a.py", message="SyntaxError: invalid syntax")
    files = {"defer/a.py": "def (", "defer/b.py": GOOD.replace("good", "b")}
    assert codes(check(files, imported=Imported(failures=[failure, other]))) == ["DF008"]


def test_a_broken_helper_is_said_once_for_all_that_need_it(check: Check) -> None:
    failures = [
        ImportFailure(file=f"defer/{name}.py", at="lib.py", line=2, message="ZeroDivisionError: zero")
        for name in ("a", "b")
    ]
    files = {f"defer/{name}.py": GOOD.replace("good", name) for name in ("a", "b")}
    assert codes(check(files, imported=Imported(failures=failures))) == ["DF009"]


def test_a_refused_option_is_named_as_such() -> None:
    found = import_problem(
        "defer/f.py", 4, "InvalidOption: 'x' is not an option of defer\n  hint: did you mean 'y'?"
    )
    assert (found.code, found.message, found.fix) == (
        "DF007",
        "'x' is not an option of defer",
        "did you mean 'y'?",
    )


def test_importing_fills_in_what_the_source_leaves_open(check: Check) -> None:
    text = USE + "from lib import EXPRESSION, body\nf = defer.cron(body, EXPRESSION)\n"
    parameter = Parameter(name="x", kind="positional_or_keyword", required=True)
    shown = Imported(functions=[spec(kind="cron", cron="* * *", parameters=(parameter,), is_async=False)])
    assert set(codes(check({"defer/f.py": "from lib import f\n"}, imported=shown))) == {
        "DF003",
        "DF005",
        "DF006",
    }
    body = spec(name="body", kind="cron", cron="* * *")
    assert "DF005" in codes(check({"defer/f.py": text}, imported=Imported(functions=[body])))


def test_what_importing_finds_under_the_files_name_is_its_function(check: Check) -> None:
    text = USE + "async def f(): ...\n(f := defer(f))\n"
    assert codes(check({"defer/f.py": text}, imported=Imported(functions=[spec(line=2)]))) == []


def test_a_function_with_another_name_of_its_own_is_said_once(check: Check) -> None:
    text = USE + "async def _mail(): ...\nf = defer(_mail)\n"
    assert codes(check({"defer/f.py": text}, imported=Imported(functions=[spec(line=2)]))) == ["DF001"]


def test_a_name_that_importing_shows_to_be_plain_is_found(check: Check) -> None:
    files = {"defer/f.py": "from lib import f\n"}
    assert codes(check(files)) == []
    failure = ImportFailure(
        file="defer/f.py", at="defer/f.py", message="f is no background function: put @defer above it"
    )
    assert codes(check(files, imported=Imported(failures=[failure]))) == ["DF001"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@wrap\n@defer\nasync def f(): ...\n", "f is no background function: put @defer above it"),
        ("if 0:\n    @defer\n    async def f(): ...\n", "no background function named f: a file holds one"),
    ],
)
def test_a_function_that_is_none_once_it_is_imported_is_found_at_its_name(
    check: Check, text: str, message: str
) -> None:
    failure = ImportFailure(file="defer/f.py", at="defer/f.py", message=message)
    shown = Imported(failures=[failure])
    result = check({"defer/f.py": USE + "from lib import wrap\n" + text}, imported=shown)
    found = only(result, "DF001")
    assert plan_fixes(result).fixes == ()
    assert (found.line, found.message) == (5, message)
    assert "above all other decorators" in found.fix


# --- diagnostics ----------------------------------------------------------------------------------


def test_json_has_exactly_the_fields_of_a_finding() -> None:
    found = problem("DF003", "defer/f.py", "why", "what now", line=4, column=2)
    assert json.loads(json.dumps(to_json(found))) == {
        "code": "DF003",
        "severity": "error",
        "file": "defer/f.py",
        "line": 4,
        "column": 2,
        "message": "why",
        "fix": "what now",
    }


def test_findings_are_sorted_by_place_and_said_once() -> None:
    first = problem("DF003", "a.py", "", "", line=2)
    second = problem("DF001", "a.py", "", "", line=10)
    third = problem("DF001", "b.py", "", "", line=1)
    assert in_order([third, second, first, third]) == (first, second, third)


def test_the_line_of_a_finding_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert source_line(tmp_path, problem("DF001", "a.py", "", "", line=2)) == "two"
    assert source_line(tmp_path, problem("DF001", "a.py", "", "", line=9)) is None
    assert source_line(tmp_path, problem("DF001", "gone.py", "", "")) is None


def test_every_code_has_a_section_in_the_docs() -> None:
    text = (Path(__file__).parents[3] / "docs" / "errors.md").read_text("utf-8").replace("`", "")
    for code, about in CODES.items():
        assert f"## {code}\n\n**{about.title[0].upper()}{about.title[1:]}**" in text, code
        assert problem(code, "x", "", "").docs == f"docs/errors.md#{code.lower()}"
