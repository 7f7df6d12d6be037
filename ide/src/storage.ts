/**
 * localStorage, but for request headers: GraphiQL's history writes them there even when told not to
 * persist headers, and they hold a token. Read back, an entry gets the page's own headers.
 */
const HISTORY_KEYS = new Set(["graphiql:queries", "graphiql:favorites"]);

export function storageWithoutHeaders(headers: string | undefined) {
  return {
    get length() {
      return localStorage.length;
    },
    getItem: (key: string) => withHeaders(key, localStorage.getItem(key), headers),
    setItem: (key: string, value: string) => localStorage.setItem(key, withHeaders(key, value, undefined) ?? ""),
    removeItem: (key: string) => localStorage.removeItem(key),
    clear: () => localStorage.clear(),
  };
}

/** Set (or with `undefined` drop) the headers of every entry, if `text` is a history's. */
function withHeaders(key: string, text: string | null, headers: string | undefined): string | null {
  if (!text || !HISTORY_KEYS.has(key)) return text;
  return JSON.stringify(JSON.parse(text), (_, value: unknown) =>
    isEntry(value) ? { ...value, headers } : value,
  );
}

function isEntry(value: unknown): value is object {
  return typeof value === "object" && value !== null && "query" in value;
}
