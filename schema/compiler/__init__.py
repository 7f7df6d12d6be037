"""From an operation to what answers it: prepared statements, and Python that makes their rows the answer.

`operation` compiles each field of the root, `lists` and `nodes` what is read of the database, `layout` the columns that
a statement reads, `shape` the Python that makes answers of rows, `statement` SQL that can't be made without the
tenant's predicate; `plans` remembers what was compiled, `answers` reads nodes for what the executor answers. Whatever
is not compiled is left to the executor, which answers the same. docs/compiled-reads.md draws the way of one operation
through all this.
"""
