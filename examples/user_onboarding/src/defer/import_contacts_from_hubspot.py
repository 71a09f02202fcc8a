from defer_client import RetryPolicy, defer
from onboarding.database import User, save_contacts
from onboarding.hubspot import contacts_of


@defer(retry=RetryPolicy(max_attempts=2, initial_interval=0.5), concurrency=5)
async def import_contacts_from_hubspot(user: User) -> int:
    """Copy the user's contacts; returns how many. Importing twice gives the same rows."""
    contacts = await contacts_of(user)
    save_contacts(user, contacts)
    print(f"{len(contacts)} contacts of {user['email']}")
    return len(contacts)
