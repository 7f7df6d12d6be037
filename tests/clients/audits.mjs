// The server audits of graphql-http, one after the other.
import { serverAudits } from "graphql-http";
import { answer, authorization, url } from "./shared.mjs";

const fetchFn = (input, init = {}) => fetch(input, { ...init, headers: { ...init.headers, ...authorization } });

await answer({
  async all() {
    const results = [];
    for (const audit of serverAudits({ url, fetchFn })) {
      const { response, ...result } = await audit.fn();
      results.push({ ...result, answered: response?.status ?? null });
    }
    return results;
  },
});
