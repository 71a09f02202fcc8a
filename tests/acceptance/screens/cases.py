"""Which commands are shown, and where: a file of golden screens holds some commands in some surroundings."""

from __future__ import annotations

from dataclasses import dataclass

from defer_cli.registry import COMMANDS
from tests.acceptance.screens.recording import Surroundings

NARROW = Surroundings(name="40 columns", columns=40)
USUAL = Surroundings(name="80 columns")
WIDE = Surroundings(name="200 columns", columns=200)
PIPE = Surroundings(name="pipe", columns=None)
COLOURS = Surroundings(name="80 columns, colours", environment={"NO_COLOR": None})
C_LOCALE = Surroundings(name="80 columns, C locale", environment={"LANG": "C", "LC_ALL": "C"})
NO_HOME = Surroundings(name="80 columns, no home", environment={"HOME": None})

WIDTHS = (NARROW, USUAL, WIDE)
ALL = (*WIDTHS, PIPE, COLOURS, C_LOCALE, NO_HOME)


@dataclass(frozen=True)
class Case:
    words: tuple[str, ...]
    places: tuple[Surroundings, ...]
    fits: bool = True  # no line is wider than the terminal


def case(line: str, *places: Surroundings, fits: bool = True) -> Case:
    return Case(words=tuple(line.split()), places=places or (USUAL,), fits=fits)


CASES: dict[str, tuple[Case, ...]] = {
    "list": (
        case("list", *ALL),
        case("list --limit 100 --state failed --state created", USUAL),
        case("list --function charge_card --metadata order=1001 --limit 1", USUAL),
        case("list --executed-by 2e2ac0ea --state failed", USUAL),
        case("list --scheduled-from +1h --scheduled-to +2h", USUAL),
        case("list --text contract --limit 2", USUAL),
        case("list --error-code ER0001 --output json", PIPE),
        case("list --state aborting", USUAL, PIPE),
    ),
    "show": (
        case("show 78dde6c4", *ALL, fits=False),
        case("show 3c6ef362", NARROW, USUAL, PIPE),
        case("show 2e2ac0ea", USUAL),
        case("show b8ab03a8", USUAL, COLOURS),
        case("show 56e27d59", USUAL, fits=False),
        case("show 538453d7", USUAL),
        case("show 78dde6c4.2", USUAL, fits=False),
        case("show 17156075 --output json", PIPE),
    ),
    "why": (case("why 2e2ac0ea", NARROW, USUAL, PIPE), case("why 56e27d59", USUAL)),
    "logs": (
        case("logs b8ab03a8", USUAL, PIPE, COLOURS, C_LOCALE),
        case("logs daa66d13", USUAL),
        case("logs daa66d13.2 --tail 1", USUAL),
        case("logs --function send_welcome_email --metadata team=growth", USUAL, PIPE),
        case("logs --grep page.1 --tail 3", USUAL, COLOURS),
        case("logs --since 1h --state succeed --tail 2 --output jsonl", PIPE),
        case("logs 78dde6c4 --output json", PIPE),
    ),
    "attempts": (
        case("attempts 78dde6c4", *ALL),
        case("attempts f519f70a", USUAL),
        case("attempts daa66d13 --output jsonl", PIPE),
    ),
    "result": (
        case("result 3c6ef362", USUAL, PIPE, C_LOCALE),
        case("result 5c5581d4", PIPE),
        case("result b8ab03a8", USUAL),
    ),
    "tree": (
        case("tree 2e2ac0ea", *ALL),
        case("tree 2e2ac0ea --all", USUAL),
        case("tree 2e2ac0ea --depth 0", USUAL),
    ),
    "diff": (
        case("diff 78dde6c4 17156075", *ALL, fits=False),
        case("diff 3c6ef362 daa66d13", USUAL, PIPE),
        case("diff daa66d13.1 daa66d13.2 --output json", PIPE),
        case("diff f519f70a f519f70a", USUAL),
    ),
    "stats": (
        case("stats", *ALL),
        case("stats --since 1h30m", USUAL),
        case("stats --function charge_card", USUAL),
        case("stats --function extract_page --output json", PIPE),
    ),
    "project": (
        case("functions", *WIDTHS, PIPE, C_LOCALE),
        case("cron", USUAL, PIPE),
    ),
    "acting": (
        case("cancel --state created --dry-run", USUAL),
        case("cancel --state created", PIPE),
        case("rerun --state failed --dry-run --output json", PIPE),
    ),
    "errors": (
        case("lsit", USUAL, COLOURS, C_LOCALE, fits=False),
        case("list --stat failed", USUAL, fits=False),
        case("list --state done", USUAL, PIPE, fits=False),
        case("list --since tomorrow", USUAL, fits=False),
        case("list --watch --output json", USUAL, fits=False),
        case("list --output xml", USUAL, fits=False),
        case("show", USUAL, fits=False),
        case("show 0000ffff", USUAL, PIPE, fits=False),
        case("show 0000ffff --output json", PIPE, fits=False),
        case("show .", USUAL, fits=False),
        case("result f519f70a", USUAL, fits=False),
        case("logs @last --function charge_card", USUAL, fits=False),
        case("logs --grep (", USUAL, fits=False),
        case("run charge_cart 1", USUAL, fits=False),
        case("run charge_card 1", USUAL, fits=False),
        case("cancel 78dde6c4", USUAL, fits=False),
        case("reschedule 78dde6c4 1h", USUAL, fits=False),
        case("stats --function chargecard", USUAL, fits=False),
        case("--project nowhere list", USUAL, fits=False),
    ),
    "help": (
        case("--help", USUAL, WIDE, PIPE, C_LOCALE),
        case("--help", NARROW, fits=False),  # the names alone need more
        *(case(f"{name} --help", USUAL, PIPE, fits=False) for name in COMMANDS),  # examples are not cut
        case("list --help", NARROW, fits=False),
    ),
}

REAL = (
    (case("list"), USUAL),
    (case("list"), PIPE),
    (case("tree 2e2ac0ea"), C_LOCALE),
    (case("show 78dde6c4"), NO_HOME),
    (case("--help"), NARROW),
    (case("lsit"), COLOURS),
)
"""Those that the installed command must show alike, as a process of its own."""
