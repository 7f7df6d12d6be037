/** What the server wrote into the page: see `schema/graphiql.py`. */
export interface Operation {
  name: string;
  query: string;
  variables: Record<string, unknown> | null;
}

export interface Page {
  endpoint: string;
  csrfToken: string;
  token: string;
  operations: Operation[];
}

export function readPage(): Page {
  const element = document.getElementById("graphiql-page");
  if (!element?.textContent) throw new Error("The page holds no #graphiql-page data.");
  return JSON.parse(element.textContent) as Page;
}

/** The text of the headers editor that sends the page's token, if it has one. */
export function authorization({ token }: Page): string | undefined {
  return token ? JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2) : undefined;
}
