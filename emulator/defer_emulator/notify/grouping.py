"""What is told in one message, when it is told, and how often it is tried: decisions, without a clock.

Times are integers: microseconds of real time. A storm of failures that are alike gives one message.
"""

from __future__ import annotations

from dataclasses import replace

from defer_emulator.domain.notifications import NAMED, Content, Incident

SECOND = 1_000_000  # µs

QUIET = 3 * SECOND // 2  # a message waits so long for more of the same
LONGEST = 10 * SECOND  # but no longer than this
LONGEST_AGAIN = 60 * SECOND  # nor than this, if the same was told within
AGAIN = 60 * SECOND

PER_MINUTE = 10  # messages; more wait, and gather meanwhile

MOST_TRIES = 12
_FIRST_WAIT, _LONGEST_WAIT = SECOND, 600 * SECOND
LONGEST_RETRY_AFTER = 3_600  # seconds: a server may ask for so much patience


def opened(incident: Incident) -> Content:
    """The content of a new message."""
    empty = Content(incident=incident, count=0, last_at=incident.at)
    return joined(empty, incident)


def joined(content: Content, incident: Incident) -> Content:
    """A message that tells of one more."""
    executions, crons = [*content.executions], [*content.crons]
    if incident.id is not None and len(executions) < NAMED:
        executions.append(incident.id)
    if incident.first_missed is not None and len(crons) < NAMED:
        crons.append((incident.function, incident.first_missed, incident.missed_count))
    return replace(
        content,
        count=content.count + max(1, incident.missed_count),
        last_at=max(content.last_at, incident.at),
        executions=executions,
        crons=crons,
    )


def closes_at(*, opened: int, joined: int, told: int | None) -> int:
    """When a message is ready: opened and joined then, the one before on the same topic ready at `told`."""
    is_again = told is not None and opened - told < AGAIN
    return min(joined + QUIET, opened + (LONGEST_AGAIN if is_again else LONGEST))


def wait_after(tries: int, retry_after: float | None, jitter: float) -> int | None:
    """µs until the next try, after so many that failed; None: no more. `retry_after` is what the server
    asked for, in seconds; `jitter` is a random number from 0 to 1."""
    if tries >= MOST_TRIES:
        return None
    wait = min(_FIRST_WAIT << (tries - 1), _LONGEST_WAIT)
    wait = round(wait * (0.75 + jitter / 2))
    if retry_after is not None:
        wait = max(wait, round(min(retry_after, LONGEST_RETRY_AFTER) * SECOND))
    return wait
