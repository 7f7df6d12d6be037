"""Run the bare application in our own server's settings: the arguments are those of `project.server`."""

import sys
from unittest.mock import patch

from granian import Granian

from project import server


class Bare(Granian):  # type: ignore[misc, valid-type] # which class it is depends on the platform
    """Granian with the bare application in place of ours."""

    def __init__(self, _ours: str, **settings: object) -> None:
        """Take the settings as they are."""
        super().__init__("bench.reading.bare:application", **settings)


if __name__ == "__main__":
    with patch.object(server, "Granian", Bare):
        server.main(*sys.argv[1:])
