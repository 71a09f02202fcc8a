"""The executions of one user's documents: listed by their metadata, read and run again by their owner."""

from dataclasses import dataclass
from datetime import datetime

from defer.document_summarization import document_summarization
from defer.video_transcript import video_transcript
from defer_client import (
    Attempt,
    Execution,
    ExecutionFilters,
    Page,
    State,
    add_metadata,
    get_execution,
    get_execution_arguments,
    get_execution_result,
    list_execution_attempts,
    list_executions,
    rerun_execution,
)
from defer_client.errors import ExecutionNotFound

TYPES = ("video-transcript", "document-summarization")
VIDEOS = (".mp4", ".mov", ".webm")


@dataclass(frozen=True, kw_only=True)
class Processing:
    id: str
    status: str
    type: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Processings:
    processings: list[Processing]
    has_next_page: bool
    cursor: str


@dataclass(frozen=True, kw_only=True)
class Details:
    processing: Processing
    name: str  # of the document
    attempts: list[Attempt]
    text: str | None  # once it has succeeded
    is_rerun: bool


async def process_document(user_id: str, name: str) -> Execution:
    """Enqueue what suits the document."""
    is_video = name.lower().endswith(VIDEOS)
    function = video_transcript if is_video else document_summarization
    metadata = {"type": TYPES[0] if is_video else TYPES[1], "user_id": user_id}
    return await add_metadata(function, metadata)(user_id, name)


async def list_user_documents_processing(
    user_id: str, cursor: str | None = None, first: int = 50
) -> Processings:
    """One page, newest first; `cursor` is that of the page before."""
    page = await list_executions(
        Page(first=first, after=cursor or None),
        ExecutionFilters(metadata={"type": TYPES, "user_id": [user_id]}),
    )
    return Processings(
        processings=[_processing(execution) for execution in page.data],
        has_next_page=page.page_info.has_next_page,
        cursor=page.page_info.end_cursor,
    )


async def show_processing(user_id: str, execution_id: str) -> Details:
    """Everything about one. Raises `ExecutionNotFound` for that of another user, too."""
    execution = await _owned(user_id, execution_id)
    attempts = await list_execution_attempts(execution.id, Page(first=50), ExecutionFilters())
    arguments = await get_execution_arguments(execution.id)
    succeeded = execution.state is State.SUCCEED
    return Details(
        processing=_processing(execution),
        name=arguments.positional[1],
        attempts=list(attempts.data),
        text=await get_execution_result(execution.id) if succeeded else None,
        is_rerun=execution.rerun_of is not None,
    )


async def rerun_user_document_processing(user_id: str, execution_id: str) -> Execution:
    """Run it again: a new execution. Raises `ExecutionNotFound`."""
    return await rerun_execution((await _owned(user_id, execution_id)).id)


async def _owned(user_id: str, execution_id: str) -> Execution:
    execution = await get_execution(execution_id)
    if execution.metadata.get("user_id") != user_id:
        raise ExecutionNotFound(f"user {user_id} has no processing {execution_id}")
    return execution


def _processing(execution: Execution) -> Processing:
    is_video = execution.function_name == "video_transcript"
    return Processing(
        id=execution.id,
        status=execution.state.value,
        type="transcript" if is_video else "summarization",
        created_at=execution.created_at,
    )
