"""The documents that clients send: how they are found, read once, and kept within limits."""
