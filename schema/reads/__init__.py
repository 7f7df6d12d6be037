"""How the schema reads: from the fields of an operation to few SQL statements, whatever their depth.

Node types, lists, filters and orders are declared with `fields`, `connection`, `node`, `lookups` and `ordering`.
`plan` finds out what an operation selects, `arguments` which part of a list, `keyset` where a page begins; `fetch` gets
the rows; `lists` goes from the root down, and `pages` is what it publishes.
"""
