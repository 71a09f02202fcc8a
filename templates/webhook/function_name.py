from typing import Any

from defer_client import defer


@defer(retry=5)
async def function_name(event: dict[str, Any]) -> str:
    """Handles an event that another service has sent to a route of yours.

    The route checks the signature, awaits `function_name(event)` and answers at once. What fails here is tried
    again. Services send an event more than once: look in your database whether its id is done already.
    """
    print(f"handling {event['type']}, {event['id']}")
    return f"handled {event['id']}"
