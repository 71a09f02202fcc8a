"""Which errors are taken for the same."""

from __future__ import annotations

import pytest

from defer_client.models import ErrorCode, Failure
from defer_emulator.domain.fingerprints import fingerprint, innermost_frame, normalised

ROOT = "/home/ada/shop"


def trace(*frames: tuple[str, int, str]) -> str:
    lines = [f'  File "{file}", line {line}, in {function}\n    work()' for file, line, function in frames]
    return "\n".join(["Traceback (most recent call last):", *lines, "ValueError: no"])


def failure(message: str = "no", name: str = "ValueError", stack: str = "", **values: ErrorCode) -> Failure:
    return Failure(name=name, message=message, stack=stack, code=values.get("code", ErrorCode.USER))


def same(one: Failure, other: Failure) -> bool:
    return fingerprint(one, ROOT) == fingerprint(other, ROOT)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("user 7 not found", "user 1234567 not found"),
        ("no row 0191d1a0-0000-7000-8000-000000000000", "no row 01A22C53-6fbf-746a-8e94-f6339e3779b1"),
        ("cannot reach ada@example.com", "cannot reach bob.b+x@mail.example.org"),
        ("GET https://api.test/v1/users/7?x=1 failed", "GET https://api.test/v2/orders failed"),
        ("object at 0x7f00dead", "object at 0x1"),
        ("commit deadbeef01 is missing", "commit 0123456789abcdef0123 is missing"),
        ("took 1.5 s", "took 20 s"),
        ("ids 1, 2, 3", "ids 1, 2, 3, 4, 5"),
        ("too\n  many   spaces", "too many spaces"),
    ],
)
def test_messages_that_differ_in_numbers_ids_and_addresses_are_alike(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)
    assert same(failure(one), failure(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("user not found", "order not found"),
        ("'name'", "'email'"),
        ("added to cart", "faded to cart"),
        ("", "x"),
    ],
)
def test_messages_in_other_words_are_not_alike(one: str, other: str) -> None:
    assert not same(failure(one), failure(other))


def test_another_class_code_file_or_function_is_another_error() -> None:
    here = failure(stack=trace((f"{ROOT}/defer/pay.py", 3, "pay")))
    assert not same(here, failure(stack=trace((f"{ROOT}/defer/pay.py", 3, "refund"))))
    assert not same(here, failure(stack=trace((f"{ROOT}/defer/ship.py", 3, "pay"))))
    assert not same(failure(), failure(name="KeyError"))
    assert not same(failure(), failure(code=ErrorCode.TIMEOUT))


def test_another_line_of_the_same_function_is_the_same_error() -> None:
    one, other = (failure(stack=trace((f"{ROOT}/defer/pay.py", line, "pay"))) for line in (3, 30))
    assert same(one, other)


def test_the_innermost_frame_is_the_last_one_of_the_projects_code() -> None:
    stack = trace(
        (f"{ROOT}/defer/pay.py", 3, "pay"),
        (f"{ROOT}/bank/client.py", 40, "charge"),
        (f"{ROOT}/.venv/lib/python3.11/site-packages/httpx/_client.py", 900, "send"),
        ("/usr/lib/python3.11/ssl.py", 1, "read"),
    )
    assert str(innermost_frame(stack, ROOT)) == "bank/client.py:40 in charge"


def test_without_own_frames_the_last_one_counts_and_without_any_none() -> None:
    stack = trace(("/usr/lib/python3.11/json/decoder.py", 9, "decode"))
    assert str(innermost_frame(stack, ROOT)) == "/usr/lib/python3.11/json/decoder.py:9 in decode"
    assert innermost_frame("", ROOT) is None
    assert innermost_frame("nonsense", "") is None


def test_a_long_message_after_the_traceback_hides_no_place() -> None:
    stack = trace((f"{ROOT}/defer/pay.py", 3, "pay")) + "\nValueError: " + "x" * 1_000_000
    assert str(innermost_frame(stack, ROOT)) == "defer/pay.py:3 in pay"


def test_a_huge_message_and_a_huge_traceback_cost_little() -> None:
    deep = trace(*((f"{ROOT}/defer/pay.py", 3, "pay") for _ in range(20_000)))
    one, other = (failure("1" * size + " no" * size, stack=deep) for size in (1_000_000, 1_000_001))
    assert same(one, other)
