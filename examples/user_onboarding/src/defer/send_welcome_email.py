from defer_client import defer
from onboarding.database import User
from onboarding.mail import send


@defer(retry=3)
async def send_welcome_email(user: User) -> str:
    return send(user, "welcome", f"Welcome, {user['name']}!")
