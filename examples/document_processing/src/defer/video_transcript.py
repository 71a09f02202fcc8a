from defer_client import RetryPolicy, defer
from documents.captions import spoken_text
from documents.uploads import read_upload


@defer(retry=RetryPolicy(max_attempts=2, initial_interval=0.5), concurrency=2)
async def video_transcript(user_id: str, name: str) -> str:
    """What is said in a video. Its captions may arrive after the video: so it is tried again."""
    transcript = spoken_text(read_upload(user_id, f"{name}.vtt"))
    print(f"{name}: {len(transcript.split())} words")
    return transcript
