"""The web application: `uvicorn --app-dir src documents.web:app`."""

from pathlib import Path

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel

from defer_client.errors import ExecutionNotFound, InvalidRequest
from documents.processings import (
    Processings,
    list_user_documents_processing,
    process_document,
    rerun_user_document_processing,
    show_processing,
)
from documents.uploads import upload_path

app = FastAPI(title="Document processing")
pages = Jinja2Templates(Path(__file__).with_name("pages"))


class Document(BaseModel):
    name: str


@app.exception_handler(ExecutionNotFound)
async def not_found(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "there is no such processing"}, status_code=404)


@app.exception_handler(InvalidRequest)
@app.exception_handler(ValueError)
async def bad_request(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)


@app.post("/users/{user_id}/documents", status_code=202)
async def add_document(user_id: str, document: Document) -> dict[str, str]:
    """Process a document that has been uploaded."""
    upload_path(user_id, document.name)
    execution = await process_document(user_id, document.name)
    return {"processing": execution.id}


@app.get("/users/{user_id}/processings")
async def list_processings(
    user_id: str, cursor: str | None = None, first: int = Query(50, ge=1, le=1_000)
) -> Processings:
    return await list_user_documents_processing(user_id, cursor, first)


@app.get("/users/{user_id}", response_class=HTMLResponse)
async def user_page(
    request: Request, user_id: str, cursor: str | None = None, first: int = Query(50, ge=1, le=1_000)
) -> Response:
    listed = await list_user_documents_processing(user_id, cursor, first)
    return pages.TemplateResponse(request, "user.html", {"user_id": user_id, "first": first, "page": listed})


@app.get("/users/{user_id}/processings/{processing_id}", response_class=HTMLResponse)
async def processing_page(request: Request, user_id: str, processing_id: str) -> Response:
    details = await show_processing(user_id, processing_id)
    return pages.TemplateResponse(request, "processing.html", {"user_id": user_id, "details": details})


@app.post("/users/{user_id}/processings/{processing_id}/rerun")
async def rerun(user_id: str, processing_id: str) -> Response:
    """The form's button: run it again, and show the new one."""
    execution = await rerun_user_document_processing(user_id, processing_id)
    return RedirectResponse(f"/users/{user_id}/processings/{execution.id}", status_code=303)
