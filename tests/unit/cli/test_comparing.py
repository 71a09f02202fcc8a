from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defer_cli.comparing import LONGEST_LOG, MISSING, Change, changes, log_changes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def change(path: str, a: Any, b: Any) -> Change:
    return Change(path=path, a=a, b=b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"x": 1}, {"x": 1}, []),
        (1, 2, [change("", 1, 2)]),
        (1, True, [change("", 1, True)]),
        ([1], [True], [change("[0]", 1, True)]),
        ({"x": {"y": [1, 2]}}, {"x": {"y": [1, 3]}}, [change("x.y[1]", 2, 3)]),
        ({"x": 1}, {"y": 1}, [change("x", 1, MISSING), change("y", MISSING, 1)]),
        ([1], [1, 2], [change("[1]", MISSING, 2)]),
        ({"x": []}, {"x": {}}, [change("x", [], {})]),
        (MISSING, MISSING, []),
        (MISSING, None, [change("", MISSING, None)]),
    ],
)
def test_each_difference_has_its_path(a: Any, b: Any, expected: list[Change]) -> None:
    assert changes(a, b) == expected


@given(JSON)
def test_a_value_is_not_different_from_itself(value: Any) -> None:
    assert changes(value, value) == []


def test_a_deep_value_is_no_trouble() -> None:
    deep: Any = 1
    other: Any = 2
    for _ in range(5_000):
        deep, other = [deep], [other]
    (found,) = changes(deep, other)
    assert (found.a, found.b) == (1, 2)


def test_logs_are_compared_line_by_line() -> None:
    assert log_changes(["a", "b", "c"], ["a", "c", "d"]) == ["@@ -1,3 +1,3 @@", " a", "-b", " c", "+d"]
    assert log_changes(["a"], ["a"]) == []
    assert log_changes([], ["--- x"]) == ["@@ -0,0 +1 @@", "+--- x"]


def test_of_long_logs_the_ends_are_compared() -> None:
    a = [str(number) for number in range(3 * LONGEST_LOG)]
    assert log_changes(a, [*a[:-1], "other"])[-2:] == [f"-{a[-1]}", "+other"]
