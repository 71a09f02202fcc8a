from defer_client import defer
from onboarding.database import User, count_actions
from onboarding.mail import send


@defer(retry=3)
async def send_tutorials_email_if_no_actions(user: User) -> str:
    """Runs a day after the sign-up: only now can be known whether the user found the way alone."""
    actions = count_actions(user)
    if actions:
        return f"not needed: {actions} actions"
    return send(user, "tutorials", f"{user['name']}, shall we show you around?")
