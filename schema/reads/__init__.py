"""How the schema reads: from the fields of an operation to few SQL statements, whatever their depth.

`fields` declares node types, `plan` finds out what an operation selects, `keyset` where a page begins, `fetch` gets the
rows, `connection` and `node` are what the schema publishes of it.
"""
