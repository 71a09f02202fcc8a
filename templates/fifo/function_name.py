from defer_client import defer


@defer(concurrency=1, retry=3)
async def function_name(item: str) -> str:
    """Works on one item at a time, in the order of the calls. A retry that waits holds nobody up."""
    print(f"working on {item}")
    return f"done with {item}"
