// What the clients' scripts share: where the server is, a fetch that remembers, and how a script answers.
export const url = process.env.GRAPHQL_URL;
export const authorization = { authorization: `Bearer ${process.env.GRAPHQL_TOKEN}` };

const requests = [];

/** Fetch, and note what was sent and what came back. */
export async function rememberingFetch(input, init = {}) {
  const { searchParams } = new URL(input);
  const response = await fetch(input, init);
  requests.push({
    method: init.method ?? "GET",
    sent: init.body ? JSON.parse(init.body) : fromSearch(searchParams),
    status: response.status,
    type: response.headers.get("content-type")?.split(";")[0],
    retryAfter: response.headers.get("retry-after"),
  });
  return response;
}

function fromSearch(parameters) {
  const read = (name, text) => (["variables", "extensions"].includes(name) ? JSON.parse(text) : text);
  return Object.fromEntries([...parameters].map(([name, text]) => [name, read(name, text)]));
}

/** Run the scenario that the command line names, and print what it returned and what was sent. */
export async function answer(scenarios) {
  const [, , name, given = "{}"] = process.argv;
  const result = await scenarios[name](JSON.parse(given));
  console.log(JSON.stringify({ result, requests }));
}
