import asyncio

from defer_client import defer


@defer
async def sleeps(seconds: float) -> None:
    await asyncio.sleep(seconds)
