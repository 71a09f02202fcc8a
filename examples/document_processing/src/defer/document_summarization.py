from defer_client import RetryPolicy, defer
from documents.summary import summary
from documents.uploads import read_upload


@defer(retry=RetryPolicy(max_attempts=2, initial_interval=0.5))
async def document_summarization(user_id: str, name: str, sentences: int = 2) -> str:
    """The sentences of a document that say most of it."""
    text = read_upload(user_id, name)
    print(f"{name}: {len(text.split())} words")
    return summary(text, sentences)
