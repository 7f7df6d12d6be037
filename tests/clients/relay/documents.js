// What an application writes in its components; the compiler makes the documents that are sent.
import { graphql } from "relay-runtime";

graphql`
  query WorkOrdersQuery($filters: WorkOrderFilter) {
    ...WorkOrders_query @arguments(count: 40, filters: $filters)
  }
`;

graphql`
  fragment WorkOrders_query on Query
  @refetchable(queryName: "WorkOrdersPageQuery")
  @argumentDefinitions(
    count: { type: "Int", defaultValue: 10 }
    cursor: { type: "String" }
    filters: { type: "WorkOrderFilter" }
  ) {
    workOrders(first: $count, after: $cursor, filters: $filters) @connection(key: "WorkOrders_workOrders") {
      edges {
        node {
          id
          ...WorkOrder_order
        }
      }
    }
  }
`;

graphql`
  fragment WorkOrder_order on WorkOrder
  @refetchable(queryName: "WorkOrderRefetchQuery")
  @argumentDefinitions(withActions: { type: "Boolean", defaultValue: false }) {
    id
    number
    status
    version
    availableActions @include(if: $withActions)
  }
`;

graphql`
  mutation WorkOrderTransitionMutation($input: TransitionWorkOrderInput!) {
    transitionWorkOrder(input: $input) {
      __typename
      ... on WorkOrder {
        ...WorkOrder_order @alias(as: "order")
      }
      ... on MutationError {
        errorCode
        message
      }
    }
  }
`;
