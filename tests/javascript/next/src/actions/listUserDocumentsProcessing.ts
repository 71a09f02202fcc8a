"use server";

import { listExecutions } from "@defer/client";

export async function listUserDocumentsProcessing(
  userId: string,
  cursor?: string,
) {
  const { data, pageInfo } = await listExecutions(
    {
      first: 50,
      ...(cursor ? { after: cursor } : {}),
    },
    {
      metadata: [
        {
          key: "type",
          values: ["video-transcript", "document-summarization"],
        },
        { key: "user_id", values: [userId] },
      ],
    },
  );

  const processings = data.map(({ id, createdAt, functionName, state }) => ({
    id,
    status: state,
    type: functionName === "video_transcript" ? "transcript" : "summarization",
    createdAt,
  }));

  return {
    processings,
    hasNextPage: pageInfo.hasNextPage,
    cursor: pageInfo.endCursor,
  };
}
