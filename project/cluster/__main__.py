"""Several machines on this one: `python -m project.cluster` starts, checks and stops them.

With `--stay` they go on, for you to try, until Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from project.cluster.checks import CHECKS, BrokenError, Installation
from project.cluster.hosts import DEMO_PASSWORD, Site
from project.cluster.postgres import replicated
from project.cluster.processes import NotStartedError
from project.cluster.valkey import Cluster
from project.embedded import EmbeddedError
from project.embedded.places import local, own_folder
from project.embedded.postgres import Postgres

PEOPLE = ("supervisor@demo.example", "technician@demo.example", "viewer@demo.example")
SETTINGS = {"COST_RESTORE_RATE": "1", "REPLICA_MAX_LAG_SECONDS": "30"}
"""Points come back so slowly that one can see what was drawn, and a replica that is paused is read long enough."""


@contextmanager
def installed() -> Iterator[Installation]:
    """Start all of it, with demo data; stop it in the end, and leave nothing behind."""
    own_folder(local())
    settled = Postgres.settle()
    folder = own_folder(settled.data.with_name(f"cluster-{os.getpid()}"), 0o711, settled.account)
    with ExitStack() as stack:
        primary, replica, replica_process = stack.enter_context(replicated(folder))
        redis = stack.enter_context(Cluster(folder / "redis"))
        site = Site.of(_logs(), database=primary.url, replica=replica.url, redis=redis.url, **SETTINGS)
        site.manage("migrate", "--verbosity", "0")
        site.manage("seed_demo", "--work-orders", "1000")
        hosts = [site.host(name) for name in ("first", "second")]
        for host in hosts:
            stack.enter_context(host.process)
        tokens = [site.manage("issue_token", person) for person in PEOPLE]
        yield Installation(hosts, primary, replica, replica_process, redis, *tokens)


def _logs() -> Path:
    return own_folder(local() / "cluster-logs", 0o700)


def describe(all_: Installation) -> None:
    """Print where everything is."""
    say(f"primary   {all_.primary.url}")
    say(f"replica   {all_.replica.url}")
    say(f"redis     {all_.redis.url} (three primaries, a replica of the first)")
    for host in all_.hosts:
        say(f"host      {host.url}/graphql (log: {host.log})")
    say(f"token     {all_.supervisor} (supervisor@demo.example, password {DEMO_PASSWORD})")


def check(all_: Installation) -> bool:
    """Run the checks, print what each found, and tell whether all held."""
    held = True
    for each in CHECKS:
        try:
            say(f"ok    {each.__name__.replace('_', ' ')}: {each(all_)}")
        except (BrokenError, OSError) as error:
            say(f"FAIL  {each.__name__.replace('_', ' ')}: {error!r}")
            held = False
    return held


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run the command, and return its exit code."""
    if arguments not in ([], ["--stay"]):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    try:
        with installed() as all_:
            say(f"started   in {time.monotonic() - began:.0f} s")
            describe(all_)
            held = check(all_)
            if arguments:
                say("Ctrl-C stops all of it.")
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except (EmbeddedError, NotStartedError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
