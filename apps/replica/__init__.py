"""Which database a read asks: the primary, or a replica of it that holds at least what its client has written.

`marks` remembers for each client how far the primary's log was when it had written; `watch` knows whether the replica
is there and not too far behind; `reads` puts both together. Without REPLICA_URL nothing of it happens.
"""
