"""JSON values as Python source: what is read back is what was written."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defer_cli.literals import WIDTH, literal, text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_means_the_value(value: Any) -> None:
    assert ast.literal_eval(literal(value, 0)) == value


@given(st.text(min_size=200), st.integers(0, 20))
def test_long_texts_are_cut_into_lines_that_fit(value: str, indent: int) -> None:
    source = literal(value, indent)
    assert ast.literal_eval(source) == value
    assert all(len(line) <= WIDTH for line in source.splitlines())


@pytest.mark.parametrize(
    ("value", "source"),
    [("it's", '"it\'s"'), ('say "hi"', "'say \"hi\"'"), ("a\nb\\", '"a\\nb\\\\"'), ("\u2028", '"\\u2028"')],
)
def test_texts_need_few_escapes(value: str, source: str) -> None:
    assert text(value) == source


def test_what_does_not_fit_has_an_item_a_line() -> None:
    x, y = "x" * 50, "y" * 50
    lines = ["{", '        "a": [', f'            "{x}",', f'            "{y}",', "        ],"]
    assert literal({"a": [x, y]}, 4) == "\n".join([*lines, "    }"])
