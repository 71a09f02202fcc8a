"""A workflow as a graph, from left to right, laid out here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from defer_emulator.domain.ids import short_id
from defer_emulator.web.console.nodes import Node

WIDTH, HEIGHT = 172, 42  # of a box, in pixels
ACROSS, DOWN = 40, 10  # between boxes
LONGEST = 22  # characters of a name


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    svg: Markup
    hidden: int  # nodes that had no room


@dataclass(kw_only=True, slots=True)
class _Canvas:
    most: int
    current: str
    toggled: Callable[[str], str]
    boxes: list[Markup]
    lines: list[Markup]
    hidden: int = 0
    bottom: float = 1.0
    deepest: int = 0


def drawn(top: Node, most: int, *, current: str, toggled: Callable[[str], str]) -> Graph:
    """The nodes as boxes, up to `most`. `toggled` gives the address that opens or closes a group."""
    canvas = _Canvas(most=most, current=current, toggled=toggled, boxes=[], lines=[])
    _place(canvas, top)
    width = (canvas.deepest + 1) * (WIDTH + ACROSS) - ACROSS + 2
    height = round(canvas.bottom - DOWN + 1)
    head = Markup(
        '<svg class="graph" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="group" aria-label="{l}">'
    )
    svg = head.format(w=width, h=height, l="Graph of the workflow; the waterfall says the same as a table")
    svg += Markup("").join([*canvas.lines, *canvas.boxes]) + Markup("</svg>")
    return Graph(svg=svg, hidden=canvas.hidden)


def _place(canvas: _Canvas, node: Node) -> float:
    """Draw a node and those below it. Returns where its middle is."""
    canvas.most -= 1
    canvas.deepest = max(canvas.deepest, node.depth)
    middles = []
    for child in node.children:
        if canvas.most > 0:
            middles.append((child, _place(canvas, child)))
        else:
            canvas.hidden += 1
    if middles:
        # Beside its first children where there are many, so that both are seen together.
        middle = min((middles[0][1] + middles[-1][1]) / 2, middles[0][1] + 2.5 * (HEIGHT + DOWN))
    else:
        middle = canvas.bottom + HEIGHT / 2
        canvas.bottom += HEIGHT + DOWN
    left = node.depth * (WIDTH + ACROSS) + 1
    for child, end in middles:
        canvas.lines.append(_line(left + WIDTH, middle, end, is_awaited=child.is_awaited))
    canvas.boxes.append(_box(canvas, node, left, middle - HEIGHT / 2))
    return middle


def _line(left: float, start: float, end: float, *, is_awaited: bool) -> Markup:
    half, right = left + ACROSS / 2, left + ACROSS
    return Markup(
        '<path class="edge{}" d="M{:.0f} {:.1f}C{:.0f} {:.1f} {:.0f} {:.1f} {:.0f} {:.1f}"/>'
    ).format("" if is_awaited else " is-loose", left, start, half, start, half, end, right, end)


def _box(canvas: _Canvas, node: Node, left: float, top: float) -> Markup:
    one = node.executions[0]
    count = len(node.executions)
    link = canvas.toggled(node.key) if node.is_group else f"/executions/{one.id}"
    name = node.function if len(node.function) <= LONGEST else node.function[: LONGEST - 1] + "…"
    said = f"{count} {node.state}" if node.is_group else f"{node.state} · {short_id(one.id)}"
    title = f"{node.function}: {said}" + ("; open this group" if node.is_group else f", {one.id}")
    stacked = Markup('<rect class="box" x="{}" y="{}" width="{}" height="{}" rx="5"/>').format(
        left + 3, top + 3, WIDTH, HEIGHT
    )
    return Markup(
        '<a href="{link}" class="node {state}{now}"><title>{title}</title>{under}'
        '<rect class="box" x="{x:.0f}" y="{y:.1f}" width="{w}" height="{h}" rx="5"/>'
        '<rect class="side" x="{x:.0f}" y="{y:.1f}" width="4" height="{h}" rx="2"/>'
        '<text x="{tx:.0f}" y="{ty:.1f}">{name}</text>'
        '<text class="said" x="{tx:.0f}" y="{sy:.1f}">{said}</text></a>'
    ).format(
        link=link,
        state=f"is-{node.state}",
        now=" is-current" if one.id == canvas.current else "",
        title=title,
        under=stacked if node.is_group else "",
        x=left,
        y=top,
        w=WIDTH,
        h=HEIGHT,
        tx=left + 13,
        ty=top + 17,
        sy=top + 33,
        name=name,
        said=said,
    )
