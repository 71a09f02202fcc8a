import { addMetadata } from "@defer/client";

import documentSummarization from "@/defer/documentSummarization";
import videoTranscript from "@/defer/videoTranscript";

export async function POST(request: Request) {
  const { userId, name } = await request.json();
  const isVideo = name.endsWith(".mp4");
  const process = addMetadata(isVideo ? videoTranscript : documentSummarization, {
    type: isVideo ? "video-transcript" : "document-summarization",
    user_id: userId,
  });
  const { id } = await process(userId, name);
  return Response.json({ id }, { status: 202 });
}
