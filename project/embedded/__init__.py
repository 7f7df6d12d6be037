"""PostgreSQL and Valkey from their wheels, for a machine that has neither.

`database_url()` and `redis_url()` join the running server of this project, or start it.
How it works, one server at a time:

* A detached supervisor (`supervisor.py`) owns the server as its only child, in a session of
  its own: Ctrl-C in a terminal never reaches it, so the application always stops first.
* Every process that asked for a URL holds a shared lock on `.local/NAME.clients` until it
  dies, however it dies. A few seconds after the last has gone the supervisor stops its server.
* `.local/NAME.lock` is held by whoever starts the server, then by the supervisor and by every
  process of the server itself: two never run at once, and nothing is guessed from process ids.
* `.local/NAME.state` says where the server listens. Its author locks it: unlocked means stale.
* A killed supervisor takes its server along (the kernel signals it), and the next client
  starts afresh. The servers listen on Unix sockets in a private folder: no port can clash.

Only the wheels' programs are used, none of their Python. `places.py` says where data lies,
and why that is elsewhere for root in a private folder.
"""

from project.embedded.client import database_url, keep_through_exec, redis_url, stop
from project.embedded.errors import EmbeddedError
from project.embedded.secret import secret

__all__ = ["EmbeddedError", "database_url", "keep_through_exec", "redis_url", "secret", "stop"]
