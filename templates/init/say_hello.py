from defer_client import defer


@defer
async def say_hello(name: str = "world") -> str:
    """Greets someone, in the background. Call it with `await say_hello("Ada")`."""
    print(f"Hello, {name}!")
    return f"Hello, {name}!"
