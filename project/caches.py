"""What Django's cache is told of Redis, by the form of its URL: one server, sentinels that know it, or a cluster."""

import os
import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry

SEVERAL: Final = re.compile(
    r"(?P<scheme>rediss?)\+(?P<form>cluster|sentinel)://(?:(?P<user>[^:@/]*):(?P<password>[^@/]*)@)?"
    r"(?P<places>[^@/,?]+(?:,[^@/,?]+)*)/?(?P<path>[^?]*)(?:\?ssl_ca_certs=(?P<trusted>[^&]+))?"
)
PORTS: Final = {"cluster": 6379, "sentinel": 26379}
TIMEOUT: Final = 1
"""Seconds that a server has to answer, and to be connected to."""


class UrlError(ValueError):
    """Raised for a URL that is none of Redis."""


def cache_of(url: str) -> dict[str, Any]:
    """Return what is particular to a URL in the settings of the cache.

    `redis://host:port/0`, `rediss://` and `unix://` lead to one server. `redis+cluster://host:port,host:port` leads to
    a cluster by some of its nodes, `rediss+cluster://` by TLS, whose certificates may be held against those of a file:
    `?ssl_ca_certs=/path`. `redis+sentinel://host:port,host:port/name/0` leads to the server that sentinels know by a
    name. Before the hosts may stand `user:password@`. Raises UrlError.
    """
    if "+" not in url.partition("://")[0]:
        return {"LOCATION": url, "OPTIONS": {}}
    found = SEVERAL.fullmatch(url)
    if found is None:
        raise UrlError(
            "It is like redis+cluster://host:6379,host:6379 or redis+sentinel://host:26379,host:26379/name/0."
        )
    if found["trusted"] and found["scheme"] + found["form"] != "redisscluster":
        raise UrlError("Only rediss://... and rediss+cluster://... have ssl_ca_certs, which is for TLS.")
    try:
        several = places(found)
    except ValueError as error:
        raise UrlError("A port is a number, like 6379.") from error
    if found["form"] == "cluster":
        return {"LOCATION": [url], "OPTIONS": {"CONNECTION_FACTORY": "project.caches.ClusterFactory"}}
    if found["scheme"] == "rediss" or not re.fullmatch(r"[\w.-]+(/\d+)?", found["path"]):
        raise UrlError("Sentinels are asked as redis+sentinel://host:26379,host:26379/name/0; without TLS.")
    user = f"{found['user']}:{found['password']}@" if found["password"] else ""
    sentinels = {"SENTINELS": several, "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory"}
    return {"LOCATION": f"redis://{user}{found['path']}", "OPTIONS": sentinels}


def places(found: re.Match[str]) -> list[tuple[str, int]]:
    """Return the hosts and ports that a URL names."""
    split = [urlsplit(f"//{place}") for place in found["places"].split(",")]
    return [(each.hostname or "", each.port or PORTS[found["form"]]) for each in split]


class ClusterFactory:
    """Connects django-redis to a cluster."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Remember how patient to be."""
        self._timeouts = options.get("SOCKET_TIMEOUT", TIMEOUT), options.get("SOCKET_CONNECT_TIMEOUT", TIMEOUT)

    def connect(self, url: str) -> RedisCluster:
        """Return the process's client of a cluster: it knows the nodes, and all threads share it."""
        return _cluster(url, *self._timeouts)

    def disconnect(self, connection: RedisCluster) -> None:
        """Close its connections."""
        connection.close()


@lru_cache(maxsize=4)
def _cluster(url: str, timeout: float, connect_timeout: float) -> RedisCluster:
    found = SEVERAL.fullmatch(url)
    assert found, url
    return RedisCluster(
        startup_nodes=[ClusterNode(*place) for place in places(found)],  # type: ignore[no-untyped-call]
        username=unquote(found["user"] or "") or None,
        password=unquote(found["password"] or "") or None,
        ssl=found["scheme"] == "rediss",
        ssl_ca_certs=unquote(found["trusted"] or "") or None,
        socket_timeout=timeout,
        socket_connect_timeout=connect_timeout,
        retry=Retry(NoBackoff(), 1),  # its own way waits for seconds between tries, and requests with it
    )


os.register_at_fork(after_in_child=_cluster.cache_clear)
