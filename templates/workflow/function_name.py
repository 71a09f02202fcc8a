import asyncio

from defer_client import await_result, defer

from .function_name_step import function_name_step


@defer
async def function_name(items: list[str]) -> dict[str, int]:
    """Run one execution for each item, all at once, and gather what they return."""
    step = await_result(function_name_step)
    lengths = await asyncio.gather(*(step(item) for item in items))
    return dict(zip(items, lengths, strict=True))
