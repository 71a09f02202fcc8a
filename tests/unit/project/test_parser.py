from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from defer_emulator.project.finder import SourceFile
from defer_emulator.project.parser import UNKNOWN, FoundFunction, ParsedFile, parse_file
from defer_emulator.project.sources import Place, SyntaxProblem

USE = "from defer_client import defer\n"


def parse(tmp_path: Path, text: str | bytes, name: str = "send_mail") -> ParsedFile:
    path = tmp_path / f"{name}.py"
    path.write_bytes(textwrap.dedent(text).encode() if isinstance(text, str) else text)
    return parse_file(
        SourceFile(path=path, relative=f"defer/{name}.py", module=f"defer.{name}", function=name)
    )


def only(parsed: ParsedFile) -> FoundFunction:
    (function,) = parsed.functions
    return function


@pytest.mark.parametrize(
    "text",
    [
        USE + "@defer\nasync def send_mail(): ...",
        USE + "@defer()\nasync def send_mail(): ...",
        "from defer_client import defer as d\n@d(retry=3)\nasync def send_mail(): ...",
        "import defer_client\n@defer_client.defer\nasync def send_mail(): ...",
        "import defer_client as dc\n@dc.defer(retry=3)\nasync def send_mail(): ...",
        "from defer_client.functions import defer\n@defer\nasync def send_mail(): ...",
        "from defer_client.sync import defer\n@defer\nasync def send_mail(): ...",
        "from defer_client import *\n@defer\nasync def send_mail(): ...",
        USE + "async def send_mail(): ...\nsend_mail = defer(send_mail)",
        USE + "async def send_mail(): ...\nsend_mail: object = defer(send_mail, retry=3)",
        USE + "async def send_mail(): ...\nsend_mail = defer(retry=3)(send_mail)",
        USE + "background = defer\n@background\nasync def send_mail(): ...",
        "try:\n    from defer_client import defer\nexcept ImportError: raise\nif True:\n"
        "    @defer\n    async def send_mail(): ...",
        USE + "@defer\n@other\nasync def send_mail(): ...",
    ],
)
def test_every_way_to_write_a_background_function_is_read(tmp_path: Path, text: str) -> None:
    parsed = parse(tmp_path, text)
    function = only(parsed)
    assert (function.name, function.kind, parsed.own_name) == ("send_mail", "background", "deferred")
    assert function.is_async is True


@pytest.mark.parametrize(
    "text",
    [
        USE + '@defer.cron("5 0 * * *")\nasync def send_mail(): ...',
        'import defer_client\n@defer_client.defer.cron("5 0 * * *", retry=3)\nasync def send_mail(): ...',
        USE + 'cron = defer.cron\n@cron("5 0 * * *")\nasync def send_mail(): ...',
        USE + 'async def send_mail(): ...\nsend_mail = defer.cron(send_mail, "5 0 * * *")',
        USE + 'async def send_mail(): ...\nsend_mail = defer.cron("5 0 * * *")(send_mail)',
    ],
)
def test_every_way_to_write_a_cron_is_read(tmp_path: Path, text: str) -> None:
    function = only(parse(tmp_path, text))
    assert (function.name, function.kind) == ("send_mail", "cron")
    assert function.expression is not None and function.expression.value == "5 0 * * *"


@pytest.mark.parametrize(
    "text",
    [
        "match 1:\n    case 1:\n        @defer\n        async def send_mail(): ...\n",
        "match 1:\n    case _:\n        async def send_mail(): ...\n        send_mail = defer(send_mail)\n",
        "while True:\n    @defer\n    async def send_mail(): ...\n    break\n",
    ],
)
def test_a_function_inside_of_any_statement_is_read(tmp_path: Path, text: str) -> None:
    assert only(parse(tmp_path, USE + text)).name == "send_mail"


def test_other_decorators_and_inner_functions_are_not_taken_for_deferred(tmp_path: Path) -> None:
    parsed = parse(
        tmp_path,
        """
        from defer_client import defer
        import twisted
        @twisted.defer
        def other(): ...
        class Mail:
            @defer
            async def send_mail(self): ...
        def outer():
            @defer
            async def send_mail(): ...
        """,
    )
    assert parsed.functions == ()


def test_literal_options_are_read_and_others_left_open(tmp_path: Path) -> None:
    options = only(
        parse(
            tmp_path,
            """
            from defer_client import defer, RetryPolicy
            @defer(retry=RetryPolicy(max_attempts=3), concurrency=LIMIT, max_duration=-1.5)
            async def send_mail(): ...
            """,
        )
    ).options
    assert options["retry"].value == {"max_attempts": 3}
    assert options["concurrency"].value is UNKNOWN
    assert options["max_duration"].value == -1.5
    assert options["concurrency"].place == Place(line=3, column=43)


def test_parameters_are_read_with_kinds_annotations_and_defaults(tmp_path: Path) -> None:
    parameters = only(
        parse(
            tmp_path,
            """
            from defer_client import defer
            @defer
            async def send_mail(a, /, b: int, c: str | None = None, *rest, d, e=1, **more): ...
            """,
        )
    ).parameters
    assert parameters is not None
    assert [(p.name, p.kind, p.required, p.annotation, p.default) for p in parameters] == [
        ("a", "positional_only", True, None, None),
        ("b", "positional_or_keyword", True, "int", None),
        ("c", "positional_or_keyword", False, "str | None", "None"),
        ("rest", "var_positional", False, None, None),
        ("d", "keyword_only", True, None, None),
        ("e", "keyword_only", False, None, "1"),
        ("more", "var_keyword", False, None, None),
    ]


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("", "missing"),
        ("# nothing\n", "missing"),
        ("async def send_mail(): ...", "plain"),
        ("class send_mail: ...", "plain"),
        ("from ._mail import send_mail", "other"),
        ("from ._mail import *", "other"),
        ("from ._mail import decorate\n@decorate\nasync def send_mail(): ...", "other"),
        ("from ._mail import make\nsend_mail = make()", "other"),
    ],
)
def test_what_only_importing_can_tell_is_left_open(tmp_path: Path, text: str, use: str) -> None:
    parsed = parse(tmp_path, text)
    assert (parsed.functions, parsed.own_name) == ((), use)


@pytest.mark.parametrize(
    ("raw", "message", "line", "column"),
    [
        (b"x = 1\ndef f(:\n", "invalid syntax", 2, 7),
        (b"x = 1\ny = '\xc3\xbc\xff'\n", "not valid utf-8: byte 0xff", 2, 7),
        (b"x = 1\n\ny = '\xc3\xbc\0'", "null bytes", 3, 7),
        (b"x = 1\ry = '\0'", "null bytes", 2, 6),
        (b"\xef\xbb\xbfx = '\xff'", "not valid utf-8: byte 0xff", 1, 6),
        (b"# coding: cp1252\nx = '\xfc\x81'", "byte 0x81", 2, 7),
        (b"x = 1\ry = '\xff'", "not valid utf-8: byte 0xff", 2, 6),
        (b"# coding: klingon\n", "unknown encoding: klingon", 1, 1),
        (b"(" * 5000, "", 1, None),
        (b"if True:\nx = 1\n", "expected an indented block", 2, 1),
        (b"x = [\n", "'[' was never closed", 1, 5),
    ],
)
def test_what_is_no_python_has_a_place_and_a_message(
    tmp_path: Path, raw: bytes, message: str, line: int, column: int | None
) -> None:
    problem = parse(tmp_path, raw).problem
    assert isinstance(problem, SyntaxProblem)
    assert message in problem.message and problem.message
    assert (problem.place.line, problem.place.column) == (line, column or problem.place.column)


def test_a_file_that_cannot_be_read_is_a_problem_too(tmp_path: Path) -> None:
    source = SourceFile(path=tmp_path / "x.py", relative="defer/x.py", module="defer.x", function="x")
    problem = parse_file(source).problem
    assert problem is not None and "cannot be read: No such file" in problem.message


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbffrom defer_client import defer\n@defer\nasync def send_mail(): ...\n",
        b"# coding: latin-1\nfrom defer_client import defer\n@defer\nasync def send_mail(x='\xfc'): ...\n",
        b"from defer_client import defer\r\n@defer\r\nasync def send_mail(): ...\r\n",
    ],
)
def test_marks_encodings_and_line_ends_are_understood(tmp_path: Path, raw: bytes) -> None:
    assert only(parse(tmp_path, raw)).name == "send_mail"


def test_invalid_escapes_print_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    parse(tmp_path, b'x = "\\d"\n')
    assert not recwarn.list


def test_columns_are_characters_not_bytes(tmp_path: Path) -> None:
    text = USE + 'ü = "äöü"; f = defer(print, "x")\n'
    function = parse(tmp_path, text).functions[0]
    assert function.place == Place(line=2, column=16)
