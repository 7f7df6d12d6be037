"""`python -m project.embedded urls` prints the servers' URLs; `stop` stops the servers."""

from __future__ import annotations

import sys

from project.embedded import EmbeddedError, database_url, redis_url, stop


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        match arguments:
            case ["stop"]:
                stop()
            case ["urls"]:
                sys.stdout.write(f"{database_url()}\n{redis_url()}\n")
            case _:
                sys.stderr.write(f"{__doc__}\n")
                return 2
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
