import asyncio

from defer_client import await_result, defer, delay
from onboarding.database import User, mark_as_onboarded

from .import_contacts_from_hubspot import import_contacts_from_hubspot
from .send_tutorials_email_if_no_actions import send_tutorials_email_if_no_actions
from .send_welcome_email import send_welcome_email


@defer
async def user_onboarding(user: User) -> dict[str, str]:
    """Contacts and welcome mail at once; then the flag; and a day later the tutorials."""
    imported, welcomed = await asyncio.gather(
        await_result(import_contacts_from_hubspot)(user),
        await_result(send_welcome_email)(user),
        return_exceptions=True,  # an account without HubSpot is welcome too
    )
    mark_as_onboarded(user)

    later = await delay(send_tutorials_email_if_no_actions, "1 day")(user)
    return {"contacts": str(imported), "welcome": str(welcomed), "tutorials": later.id}
