// urql: queries by POST and GET, persisted queries, mutations and refusals.
import { randomUUID } from "node:crypto";
import { cacheExchange, Client, fetchExchange, gql } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { answer, authorization, rememberingFetch as fetch, url } from "./shared.mjs";

const ORDER = gql("query Order($id: ID!) { node(id: $id) { id ... on WorkOrder { number } } }");
const CREATE = gql(`
  mutation Create($input: CreateWorkOrderInput!) {
    createWorkOrder(input: $input) {
      __typename
      ... on WorkOrder { title version }
      ... on ValidationFailed { errorCode problems { path } }
    }
  }
`);

function client({ preferGetMethod = false, exchanges = [], headers = authorization } = {}) {
  const all = [cacheExchange, ...exchanges, fetchExchange];
  return new Client({ url, fetch, preferGetMethod, exchanges: all, fetchOptions: { headers } });
}

const told = ({ data, extensions, error }) => ({
  data,
  extensions,
  network: error?.networkError?.message,
  errors: error?.graphQLErrors.map(({ message, extensions }) => ({ message, extensions })),
});

await answer({
  query: async ({ id, preferGetMethod }) => told(await client({ preferGetMethod }).query(ORDER, { id })),
  mutation: async ({ input }) => told(await client().mutation(CREATE, { input })),

  async persisted({ id, preferGetForPersistedQueries }) {
    const unknown = gql(`query Order_${randomUUID().replaceAll("-", "")}($id: ID!) { node(id: $id) { id } }`);
    const exchanges = () => [persistedExchange({ preferGetForPersistedQueries })];
    const ask = async () => told(await client({ exchanges: exchanges() }).query(unknown, { id }));
    return [await ask(), await ask()];
  },

  async refused({ document, token }) {
    const headers = token ? { authorization: `Bearer ${token}` } : authorization;
    return told(await client({ headers }).query(gql(document), {}));
  },
});
