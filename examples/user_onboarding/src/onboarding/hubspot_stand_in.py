"""Answers in the place of HubSpot, so that the example needs no account there."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

CONTACTS = 7
PAGE = 3


async def contacts(request: Request) -> Response:
    account = request.query_params["account"]
    if account.endswith("@no-hubspot.example"):
        return JSONResponse({"message": f"no account of {account}"}, status_code=404)
    start = int(request.query_params.get("after", "0"))
    end = min(start + PAGE, CONTACTS)
    numbers = range(start, end)
    body = {"results": [{"properties": {"email": f"contact{number}@{account}"}} for number in numbers]}
    return JSONResponse(body | ({"paging": {"next": {"after": str(end)}}} if end < CONTACTS else {}))


route = Mount("/hubspot", routes=[Route("/crm/v3/objects/contacts", contacts)])
