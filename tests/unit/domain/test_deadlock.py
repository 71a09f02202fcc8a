"""Waits that can never end."""

from __future__ import annotations

from defer_emulator.domain.deadlock import find_cycle


def test_a_function_that_waits_for_itself_with_one_place_is_stuck() -> None:
    assert find_cycle(["a"], "a", 1) == ["a", "a"]


def test_the_cycle_leads_from_the_holder_down_to_the_wait() -> None:
    assert find_cycle(["c", "b", "a", "root"], "a", 1) == ["a", "b", "c", "a"]


def test_all_places_must_be_held_by_ancestors() -> None:
    assert find_cycle(["b", "a"], "a", 2) is None
    assert find_cycle(["a", "b", "a"], "a", 2) == ["a", "a"]


def test_a_function_among_no_ancestors_is_free() -> None:
    assert find_cycle([], "a", 1) is None
    assert find_cycle(["b"], "a", 1) is None
