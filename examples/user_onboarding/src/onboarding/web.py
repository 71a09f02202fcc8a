"""The web application: signing up starts the workflow, and answers at once."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from defer.user_onboarding import user_onboarding
from defer_client import add_metadata
from onboarding import hubspot_stand_in
from onboarding.database import add_user, create_tables, profile, save_action


async def sign_up(request: Request) -> Response:
    form = await request.json()
    try:
        user = add_user(form["name"], form["email"])
    except sqlite3.IntegrityError:
        return JSONResponse({"error": f"{form['email']} has signed up already"}, status_code=409)
    execution = await add_metadata(user_onboarding, {"user": str(user["id"])})(user)
    return JSONResponse({"user": user, "onboarding": execution.id}, status_code=202)


async def show_user(request: Request) -> Response:
    user = profile(request.path_params["id"])
    return JSONResponse(user or {"error": "no such user"}, status_code=200 if user else 404)


async def act(request: Request) -> Response:
    save_action(request.path_params["id"], "clicked around")
    return Response(status_code=204)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    create_tables()
    yield


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/users", sign_up, methods=["POST"]),
        Route("/users/{id:int}", show_user),
        Route("/users/{id:int}/actions", act, methods=["POST"]),
        hubspot_stand_in.route,
    ],
)
