"use client";

import { useParams } from "next/navigation";

import { rerunUserDocumentProcessing } from "@/actions/rerunUserDocumentProcessing";

export default function DocumentProcessing() {
  const { id } = useParams<{ id: string }>();

  const rerun = rerunUserDocumentProcessing.bind(null, id);

  return (
    <main>
      <div>
        <form action={rerun}>
          <button type="submit">Re-run processing</button>
        </form>
      </div>
    </main>
  );
}
