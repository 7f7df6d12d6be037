"""The folder in which the workers of one server count, each in files of its own.

It has to be named before anything imports a metric. So the server's main process makes it, empty, before there is a
worker, and takes it away at its end; counters begin at 0 with each start, which Prometheus knows how to read.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Final

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client knows the folder."""


@contextmanager
def counting_together() -> Iterator[None]:
    """Let the processes that are started inside count in one folder."""
    with TemporaryDirectory(prefix="workgraph-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER] = folder
        yield
