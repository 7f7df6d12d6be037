"""What bench/reads.py needs: the servers, the operations in the words of each, a load, and accounts of CPU time."""
