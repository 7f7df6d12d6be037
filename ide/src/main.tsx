import "./nonce";
import "./workers";
import "graphiql/style.css";
import "./style.css";

import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";

import { makeFetcher } from "./fetcher";
import { authorization, readPage, type Operation } from "./page";
import { storageWithoutHeaders } from "./storage";

const page = readPage();
const headers = authorization(page);

function tabOf({ query, variables }: Operation) {
  return { query, variables: variables ? JSON.stringify(variables, null, 2) : undefined };
}

createRoot(document.getElementById("graphiql")!).render(
  <GraphiQL
    fetcher={makeFetcher(page)}
    storage={storageWithoutHeaders(headers)}
    shouldPersistHeaders={false}
    defaultHeaders={headers}
    defaultTabs={page.operations.length ? page.operations.map(tabOf) : undefined}
    inputValueDeprecation
    schemaDescription
  >
    <GraphiQL.Logo>Workgraph</GraphiQL.Logo>
  </GraphiQL>,
);
