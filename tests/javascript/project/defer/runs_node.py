import asyncio
import os

from defer_client import defer


@defer
async def runs_node(node: str, script: str, endpoint: str) -> str:
    """What the script prints. The script's calls are children of this execution."""
    environment = {
        **os.environ,
        "DEFER_ENDPOINT": endpoint,
        "DEFER_TOKEN": os.environ["DEFER_EXECUTION_TOKEN"],
    }
    process = await asyncio.create_subprocess_exec(
        node, script, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output.decode().splitlines()[-1]
