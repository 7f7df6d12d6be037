"""The connections to the database that this process keeps."""

from django.db import connection


def forget_connections() -> None:
    """Close this thread's connection and the pool's: they may be dead, or have learnt a time limit of a request."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
