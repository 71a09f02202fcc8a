from __future__ import annotations

from xml.etree import ElementTree

from defer_emulator.web.console.charts import Bar, axis_top, spark_bars, stacked_bars


def rects(svg: str) -> list[dict[str, str]]:
    return [dict(one.attrib) for one in ElementTree.fromstring(svg).iter("rect") if one.get("class") != "hit"]


def test_a_stack_is_as_high_as_its_values() -> None:
    svg = stacked_bars([Bar(values={"succeed": 30, "failed": 10}, title="a")], "label", top=100)
    succeed, failed = rects(svg)
    assert (succeed["y"], succeed["height"]) == ("70", "30")
    assert (failed["y"], failed["height"]) == ("60", "10")


def test_one_among_many_is_still_seen() -> None:
    svg = stacked_bars([Bar(values={"succeed": 1_000_000, "failed": 1}, title="a")], "label")
    assert float(rects(svg)[1]["height"]) >= 1


def test_texts_are_escaped_and_nothing_is_styled_inline() -> None:
    bar = Bar(values={"failed": 1}, title="<script>")
    for svg in (
        stacked_bars([bar], '"<b>'),
        spark_bars([{"failed": 1}], '"<b>'),
    ):
        ElementTree.fromstring(svg)
        assert "<script>" not in svg and "<b>" not in svg and "style=" not in svg


def test_nothing_at_all_is_a_chart_too() -> None:
    for svg in (stacked_bars([], "x"), spark_bars([], "x"), stacked_bars([Bar(values={}, title="a")], "x")):
        ElementTree.fromstring(svg)


def test_an_axis_ends_at_a_round_number() -> None:
    assert [axis_top(value) for value in (0, 1, 3, 7, 11, 199, 201, 5_000, 5_001)] == [
        *(1, 1, 5, 10, 20, 200, 500, 5_000, 10_000)
    ]
