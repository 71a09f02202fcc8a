"use server";

import { reRunExecution } from "@defer/client";

export async function rerunUserDocumentProcessing(executionID: string) {
  await reRunExecution(executionID);
  return;
}
