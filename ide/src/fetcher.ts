import { Kind, parse } from "graphql";

import type { Page } from "./page";

interface Params {
  query: string;
  operationName?: string | null;
  variables?: unknown;
}

interface Options {
  headers?: Record<string, unknown>;
}

const ACCEPT = "application/graphql-response+json, application/json;q=0.9";

/** Make the function by which GraphiQL sends each operation, introspection included. */
export function makeFetcher(page: Page) {
  return async (params: Params, options?: Options): Promise<object> => {
    const response = await fetch(page.endpoint, {
      method: "POST",
      credentials: "same-origin",
      headers: {
        "Content-Type": "application/json",
        Accept: ACCEPT,
        "X-CSRFToken": page.csrfToken,
        ...headersOf(params, options, page),
      },
      body: JSON.stringify({ ...params, operationName: nameIn(params) }),
    });
    return readAnswer(response);
  };
}

/** Right after a change of tab GraphiQL still names the operation of the tab before. */
function nameIn({ query, operationName }: Params): string | null | undefined {
  const names = operationNames(query);
  return names.length === 1 ? names[0] : operationName;
}

function operationNames(query: string): (string | undefined)[] {
  try {
    const { definitions } = parse(query);
    return definitions.flatMap((one) => (one.kind === Kind.OPERATION_DEFINITION ? [one.name?.value] : []));
  } catch {
    return [];
  }
}

/** GraphiQL introspects before its headers editor exists: the page's token stands in for it until then. */
function headersOf({ operationName }: Params, options: Options | undefined, { token }: Page) {
  if (options?.headers) return options.headers as Record<string, string>;
  const early = operationName === "IntrospectionQuery" && token;
  return early ? { Authorization: `Bearer ${token}` } : {};
}

async function readAnswer(response: Response): Promise<object> {
  const text = await response.text();
  try {
    return JSON.parse(text) as object;
  } catch {
    const said = `${response.status} ${response.statusText}`.trim();
    return { errors: [{ message: `The server answered ${said}, and not in JSON. Reload the page and try again.` }] };
  }
}
