"use client";

import { useParams } from "next/navigation";
import { useEffect, useState } from "react";

import { listUserDocumentsProcessing } from "@/actions/listUserDocumentsProcessing";

type Page = Awaited<ReturnType<typeof listUserDocumentsProcessing>>;

export default function Documents() {
  const { userId } = useParams<{ userId: string }>();
  const [page, setPage] = useState<Page>();

  const load = async (cursor?: string) => setPage(await listUserDocumentsProcessing(userId, cursor));
  useEffect(() => void load(), [userId]);

  return (
    <main>
      <ul>
        {page?.processings.map(({ id, status, type }) => (
          <li key={id}>
            <a href={`/documentProcessing/${id}`}>
              {type}: {status}
            </a>
          </li>
        ))}
      </ul>
      {page?.hasNextPage && <button onClick={() => load(page.cursor)}>Older</button>}
    </main>
  );
}
