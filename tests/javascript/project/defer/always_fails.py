from defer_client import defer


@defer
async def always_fails(message: str) -> None:
    raise ValueError(message)
