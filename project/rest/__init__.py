"""REST for scripts: bulks of transitions, by the services and out of the budget of the GraphQL mutations."""
