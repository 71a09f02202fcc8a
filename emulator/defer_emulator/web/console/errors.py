"""Failed executions, grouped by what went wrong."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from starlette.responses import Response

from defer_client.errors import ExecutionNotFound
from defer_emulator.web.console.notices import Notice
from defer_emulator.web.console.rendering import number, render
from defer_emulator.web.console.request import PageRequest
from defer_emulator.web.console.responses import go_back
from defer_emulator.web.errors import Refused

SHOWN = 40  # groups
MOST = 10_000  # executions that are run again at once
BATCH = 20  # of them, before others have their turn

SINCE = {
    "1 hour": timedelta(hours=1),
    "1 day": timedelta(days=1),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
}


async def show(request: PageRequest) -> Response:
    operations = request.site.operations
    function, since = request.get("function"), request.get("since")
    groups = await operations.error_groups(function=function or None, since=SINCE.get(since), limit=SHOWN)
    names = sorted(one.spec.name for one in await operations.functions())
    return await render(
        request,
        "errors.html",
        title="Errors",
        groups=groups,
        names=names,
        choices=list(SINCE),
        function=function,
        since=since,
        most=MOST,
        shown=SHOWN,
    )


async def rerun(request: PageRequest) -> Response:
    """Run every execution of a group again, if they are as many as the person was told."""
    fingerprint = request.params["fingerprint"]
    operations = request.site.operations
    group = await operations.error_group(fingerprint)
    if group is None:
        raise Refused(404, "not_found", "no error of that kind is known any more")
    ids = await operations.executions_with_error(fingerprint, MOST)
    if request.posted("count") != str(min(group.count, MOST)):
        text = (
            f"Nothing was done: there are {number(group.count)} by now. Look again and confirm that number."
        )
        return go_back(request, Notice(text=text, kind="failed"))
    done = 0
    for place, execution_id in enumerate(reversed(ids)):
        if place % BATCH == BATCH - 1:
            await asyncio.sleep(0)
        try:
            await request.site.backend.rerun_execution(execution_id)
            done += 1
        except ExecutionNotFound:  # it was removed meanwhile
            continue
    text = f"{number(done)} {'execution runs' if done == 1 else 'executions run'} again."
    return go_back(request, Notice(text=text, link="/executions", link_text="Show them"))
