// graphql-request: queries by POST and GET, a batch, mutations and refusals.
import { ClientError, gql, GraphQLClient } from "graphql-request";
import { answer, authorization, rememberingFetch as fetch, url } from "./shared.mjs";

const ORDER = gql`
  query Order($id: ID!) {
    node(id: $id) {
      id
    }
  }
`;
const CREATE = gql`
  mutation Create($input: CreateWorkOrderInput!) {
    createWorkOrder(input: $input) {
      __typename
      ... on WorkOrder {
        title
        version
      }
    }
  }
`;
const client = (method = "POST", headers = authorization) => new GraphQLClient(url, { fetch, headers, method });

await answer({
  query: ({ id, method }) => client(method).request(ORDER, { id }),
  mutation: ({ input }) => client().request(CREATE, { input }),
  batch: ({ id }) => client().batchRequests([{ document: ORDER, variables: { id } }, { document: "{ me { email } }" }]),

  async refused({ document, token }) {
    try {
      return await client("POST", token ? { authorization: `Bearer ${token}` } : authorization).request(document);
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      const { status, data, errors } = error.response;
      return { status, data, errors };
    }
  },
});
