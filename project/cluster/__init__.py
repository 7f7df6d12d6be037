"""More than one machine, on this one: a primary and a replica, a cluster of Redis, several application hosts.

`python -m project.cluster` starts all of it from the programs that the wheels bring, checks what must hold across
hosts, and stops it. The tests of the replica and of the cluster start their parts with the same classes.
"""
