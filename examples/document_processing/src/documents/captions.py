"""What is said in a video, from its captions in the WebVTT format."""

import re


def spoken_text(captions: str) -> str:
    """The cues' text in one paragraph. Raises `ValueError` for what is no WebVTT."""
    header, *blocks = re.split(r"\n{2,}", captions.replace("\r\n", "\n").strip())
    if not header.startswith("WEBVTT"):
        raise ValueError("captions must begin with WEBVTT")
    spoken = []
    for block in blocks:
        lines = block.split("\n")
        times = next((index for index, line in enumerate(lines) if "-->" in line), None)
        if times is not None:  # else a note or a style
            spoken += [re.sub(r"<[^>]*>", "", line).strip() for line in lines[times + 1 :]]
    return " ".join(spoken)
