from defer_client import defer


@defer
async def add(left: int, right: int = 1) -> int:
    return left + right
