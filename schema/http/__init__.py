"""GraphQL over HTTP: requests read, answers written, to the letter of the working group's draft of August 2026."""
