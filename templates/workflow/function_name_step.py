from defer_client import defer


@defer(retry=3, concurrency=10)
async def function_name_step(item: str) -> int:
    """The part that is done for one item. It is retried alone when it fails."""
    print(f"working on {item}")
    return len(item)
