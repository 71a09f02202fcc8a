from __future__ import annotations

import enum
import json
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defer_client.errors import NotSerializable
from defer_client.serialization import MAX_DEPTH, check_json

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(VALUES)
def test_json_passes_unchanged_and_survives_a_round_trip(value: Any) -> None:
    checked = check_json(value, "value")
    assert checked == value
    assert json.loads(json.dumps(checked, allow_nan=False)) == value


class Color(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (OrderedDict(a=1), {"a": 1}),
        ({Color.RED: 1}, {"red": 1}),
        (True, True),
        ("ü🎉", "ü🎉"),
    ],
)
def test_relatives_of_json_types_become_plain(value: Any, plain: Any) -> None:
    checked = check_json(value, "value")
    assert checked == plain
    assert type(checked) is type(plain)
    assert json.dumps(checked) == json.dumps(plain)


@dataclass
class User:
    name: str


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"created_at": datetime(2026, 1, 1)}, "user.created_at: datetime is not JSON serializable"),
        ({"a": [1, {"b": {1, 2}}]}, "user.a[1].b: set is not JSON serializable"),
        ({"first name": b""}, "user['first name']: bytes is not JSON serializable"),
        (User("x"), "user: User is not JSON serializable"),
        (Decimal(1), "user: Decimal is not JSON serializable"),
        (float("nan"), "user: nan is not JSON serializable"),
        ([float("-inf")], "user[0]: -inf is not JSON serializable"),
        ({"x": {1: 2}}, "user.x: dict with a key of type int is not JSON serializable"),
        (["ok", "\udc80"], r"user[1]: str with a lone surrogate ('\udc80') is not JSON serializable"),
        ({"\udc80": 1}, r"user: str with a lone surrogate ('\udc80') is not JSON serializable"),
        (print, "user: builtin_function_or_method is not JSON serializable"),
    ],
)
def test_what_is_not_json_is_refused_with_its_path(value: Any, message: str) -> None:
    with pytest.raises(NotSerializable) as caught:
        check_json(value, "user")
    assert caught.value.message == message
    assert message.startswith(caught.value.path + ":")


def test_an_integer_that_python_itself_cannot_print_is_refused() -> None:
    with pytest.raises(NotSerializable, match=r"^user: int has too many digits"):
        check_json(10**5000, "user")


def test_a_value_inside_itself_is_refused() -> None:
    loop: list[Any] = [1]
    loop.append({"again": loop})
    with pytest.raises(NotSerializable, match=r"items\[1\]\.again: list contains itself"):
        check_json(loop, "items")


def test_the_same_value_twice_side_by_side_is_fine() -> None:
    shared = [1]
    assert check_json([shared, shared], "items") == [[1], [1]]


def test_too_deep_nesting_is_refused_and_not_a_recursion_error() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(NotSerializable, match=f"more than {MAX_DEPTH} levels"):
        check_json(deep, "deep")


def test_a_hint_says_how_to_pass_a_common_type() -> None:
    with pytest.raises(NotSerializable) as caught:
        check_json(datetime(2026, 1, 1), "when")
    assert "isoformat" in caught.value.hint
