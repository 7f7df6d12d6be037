// Relay without React: what its compiler made of our schema, run by its runtime.
import { createRequire } from "node:module";
import { answer, authorization, rememberingFetch, url } from "./shared.mjs";

const require = createRequire(import.meta.url);
const runtime = require("relay-runtime");
const artifact = (name) => require(`${process.env.RELAY_ARTIFACTS}/${name}.graphql.js`);

async function network({ id, name, text }, variables) {
  const document = id ? { documentId: id } : { query: text };
  const body = JSON.stringify({ ...document, operationName: name, variables });
  const headers = { ...authorization, accept: "application/graphql-response+json", "content-type": "application/json" };
  return (await rememberingFetch(url, { method: "POST", headers, body })).json();
}

const newEnvironment = () =>
  new runtime.Environment({
    network: runtime.Network.create(network),
    store: new runtime.Store(new runtime.RecordSource()),
  });

/** Run a query, keep what it brought, and return what is read at its root. */
async function load(environment, query, variables) {
  const operation = runtime.createOperationDescriptor(query, variables);
  environment.retain(operation);
  await runtime.fetchQuery(environment, query, variables).toPromise();
  return environment.lookup(operation.fragment).data;
}

/** Read a fragment where its parent refers to it. */
function read(environment, fragment, reference) {
  const selector = runtime.getSingularSelector(fragment, reference);
  return environment.lookup(selector).data;
}

const orders = (environment, { workOrders }) =>
  workOrders.edges.map(({ node }) => read(environment, artifact("WorkOrder_order"), node));

await answer({
  /** As usePaginationFragment does: the connection's own query brings the next page, the store joins the pages. */
  async pages({ filters }) {
    const environment = newEnvironment();
    const fragment = artifact("WorkOrders_query");
    const { paginationRequest, paginationMetadata } = runtime.getPaginationMetadata(fragment, "relay.mjs");
    const root = await load(environment, artifact("WorkOrdersQuery"), { filters });
    const known = runtime.getSingularSelector(fragment, root).variables;
    let page = read(environment, fragment, root);
    while (page.workOrders.pageInfo.hasNextPage) {
      const { endCursor } = page.workOrders.pageInfo;
      const next = runtime.getPaginationVariables("forward", 40, endCursor, known, {}, paginationMetadata);
      await load(environment, paginationRequest, next);
      page = read(environment, fragment, root);
    }
    return orders(environment, page).map(({ number }) => number);
  },

  /** As useRefetchableFragment does: the generated query asks for the node by its id, with other arguments. */
  async refetch({ id }) {
    const environment = newEnvironment();
    const fragment = artifact("WorkOrder_order");
    const { node } = await load(environment, fragment.metadata.refetch.operation, { id, withActions: true });
    return read(environment, fragment, node);
  },

  async mutation({ input }) {
    const environment = newEnvironment();
    const mutation = artifact("WorkOrderTransitionMutation");
    const commit = () =>
      new Promise((onCompleted, onError) =>
        runtime.commitMutation(environment, { mutation, variables: { input }, onCompleted, onError }),
      );
    const { transitionWorkOrder: first } = await commit();
    const { transitionWorkOrder: second } = await commit();
    return [read(environment, artifact("WorkOrder_order"), first.order), second];
  },

  /** As when the server has moved on since the documents were compiled. */
  async refused() {
    const query = { ...artifact("WorkOrdersQuery") };
    query.params = { ...query.params, id: null, text: "query WorkOrdersQuery { nothingOfTheKind }" };
    return runtime.fetchQuery(newEnvironment(), query, {}).toPromise().catch((error) => error.source.errors);
  },
});
