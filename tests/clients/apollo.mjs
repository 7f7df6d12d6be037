// Apollo Client: persisted queries, batches, pages, the normalised cache, mutations and refusals.
import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { BatchHttpLink } from "@apollo/client/link/batch-http";
import { createPersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { relayStylePagination } from "@apollo/client/utilities";
import { buildSchema, isAbstractType } from "graphql";
import { filter, firstValueFrom } from "rxjs";
import { answer, authorization, rememberingFetch as fetch, url } from "./shared.mjs";

const SDL = readFileSync(new URL("../../schema/schema.graphql", import.meta.url), "utf8");

/** Give the members of each interface and union, as a normalised cache wants them. */
function possibleTypes() {
  const schema = buildSchema(SDL);
  const abstract = Object.values(schema.getTypeMap()).filter(isAbstractType);
  return Object.fromEntries(abstract.map((type) => [type.name, schema.getPossibleTypes(type).map(String)]));
}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

const NODE = gql`
  query Order($id: ID!) {
    node(id: $id) {
      id
      ... on WorkOrder {
        number
        status
        version
      }
    }
  }
`;
const PAGE = gql`
  query Orders($first: Int!, $after: String) {
    workOrders(first: $first, after: $after) {
      edges {
        node {
          id
          number
          status
          version
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`;
const TRANSITION = gql`
  mutation Transition($input: TransitionWorkOrderInput!) {
    transitionWorkOrder(input: $input) {
      ... on WorkOrder {
        id
        status
        version
      }
      ... on MutationError {
        errorCode
        message
      }
      ... on VersionConflict {
        currentVersion
      }
    }
  }
`;

const query = {
  fields: {
    workOrders: relayStylePagination(["filters", "ordering"]),
    node: { read: (known, { args, toReference }) => known ?? toReference({ __typename: "WorkOrder", id: args.id }) },
  },
};
const http = (headers = authorization) => new HttpLink({ uri: url, fetch, headers });

function client(link = http()) {
  const cache = new InMemoryCache({ possibleTypes: possibleTypes(), typePolicies: { Query: query } });
  return new ApolloClient({ link, cache });
}

/** Tell what a client is told of a refusal. */
async function refusal(operation) {
  try {
    await operation;
    return null;
  } catch (error) {
    return CombinedGraphQLErrors.is(error) ? error.errors : { notGraphQL: String(error) };
  }
}

const asked = (apollo, document, variables) => apollo.query({ query: document, variables }).then(({ data }) => data);

await answer({
  async persisted({ id, useGETForHashedQueries }) {
    const link = () => createPersistedQueryLink({ sha256, useGETForHashedQueries }).concat(http());
    const unknown = gql(`query Order_${randomUUID().replaceAll("-", "")}($id: ID!) { node(id: $id) { id } }`);
    return [await asked(client(link()), unknown, { id }), await asked(client(link()), unknown, { id })];
  },

  async persistedMutation({ input }) {
    const link = createPersistedQueryLink({ sha256, useGETForHashedQueries: true }).concat(http());
    return (await client(link).mutate({ mutation: TRANSITION, variables: { input } })).data.transitionWorkOrder;
  },

  async batch({ id }) {
    const apollo = client(new BatchHttpLink({ uri: url, fetch, headers: authorization }));
    const me = gql("query Me { me { id email } }");
    const refused = refusal(apollo.query({ query: gql("query Unknown { nothingOfTheKind }") }));
    return Promise.all([asked(apollo, me), asked(apollo, NODE, { id }), refused]);
  },

  async refusedBatch({ documents }) {
    const apollo = client(new BatchHttpLink({ uri: url, fetch, headers: authorization }));
    return Promise.all(documents.map((document) => refusal(apollo.query({ query: gql(document) }))));
  },

  async pages({ first }) {
    const apollo = client();
    const orders = apollo.watchQuery({ query: PAGE, variables: { first } });
    const watching = orders.subscribe(() => {});
    let { data } = await firstValueFrom(orders.pipe(filter(({ loading }) => !loading)));
    while (data.workOrders.pageInfo.hasNextPage) {
      ({ data } = await orders.fetchMore({ variables: { after: data.workOrders.pageInfo.endCursor } }));
    }
    watching.unsubscribe();
    const { workOrders: joined } = apollo.readQuery({ query: PAGE, variables: { first } });
    return joined.edges.map(({ node }) => node.number);
  },

  async cache({ input }) {
    const apollo = client();
    await asked(apollo, PAGE, { first: 10 });
    const { node: listed } = await asked(apollo, NODE, { id: input.id });
    await apollo.mutate({ mutation: TRANSITION, variables: { input } });
    return [listed, (await asked(apollo, NODE, { id: input.id })).node];
  },

  async mutation({ input }) {
    const transition = async () => (await client().mutate({ mutation: TRANSITION, variables: { input } })).data;
    return [(await transition()).transitionWorkOrder, (await transition()).transitionWorkOrder];
  },

  refused: ({ document, token }) =>
    refusal(client(http(token ? { authorization: `Bearer ${token}` } : authorization)).query({ query: gql(document) })),

  async partly({ document }) {
    const { data, error } = await client().query({ query: gql(document), errorPolicy: "all" });
    return { data, errors: error.errors };
  },
});
