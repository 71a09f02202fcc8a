"""The contacts of a HubSpot account, page by page, as its API gives them."""

import os

import httpx

from onboarding.database import User


async def contacts_of(user: User) -> list[str]:
    """Addresses. Raises `httpx.HTTPError` where HubSpot is out of reach or knows no such account."""
    base = os.environ.get("HUBSPOT_URL", "http://127.0.0.1:8000/hubspot")
    addresses: list[str] = []
    after: str | None = "0"
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=10) as client:
        while after is not None:
            page = await client.get(
                "/crm/v3/objects/contacts", params={"account": user["email"], "after": after}
            )
            page.raise_for_status()
            found = page.json()
            addresses += [contact["properties"]["email"] for contact in found["results"]]
            after = found.get("paging", {}).get("next", {}).get("after")
    return addresses
