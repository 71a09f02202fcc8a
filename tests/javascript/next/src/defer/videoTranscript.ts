import { defer } from "@defer/client";

// The body is in Python: src/defer/video_transcript.py of the project that the emulator serves.
export default defer(async function videoTranscript(userId: string, name: string): Promise<string> {
  throw new Error(`${name} of ${userId} is processed elsewhere`);
});
