import { defer } from "@defer/client";

// The body is in Python, as that of videoTranscript.
export default defer(async function documentSummarization(userId: string, name: string): Promise<string> {
  throw new Error(`${name} of ${userId} is processed elsewhere`);
});
