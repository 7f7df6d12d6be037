"""What `make run` and `make dev` start: prepares the database, says where to look, then becomes the web server.

With `--prepared` it leaves the database and the static files as they are: what a service does, whose instances start
one after the other, and whose release migrates once.
"""

import io
import os
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

import django
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from environs import EnvError

from project import embedded
from project.embedded.processes import die_with_parent

# Some shells export the machine's own name as HOST: nobody asked to serve the network.
HOST = os.environ.get("HOST", "").removeprefix(socket.gethostname()) or "127.0.0.1"
PORT = os.environ.get("PORT") or "8000"
WORKERS = os.environ.get("WORKERS") or str(min(os.cpu_count() or 1, 8))
PORTS = 65536
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound
DEMO_USER = "supervisor@demo.example"
BANNER = """
Workgraph   {url}/graphql   (in a browser: GraphiQL)
log in as   admin, supervisor, technician or viewer @demo.example (or @rival.example)
password    {password}
token       {token}   ({user})
metrics     {metrics}

Try it:
curl {url}/graphql -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\
  -d '{{"query": "{{ workOrders(first: 3) {{ edges {{ node {{ number title status }} }} }} }}"}}'

Ctrl-C stops the server.
"""


class ServeError(Exception):
    """Tell in one line why the server cannot start, and what to do about it."""


def main(*, reload: bool, prepared: bool) -> NoReturn:
    """Prepare everything, unless it is, then replace this process by the web server."""
    check_address()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    if prepared:
        check_static_files()
    else:
        prepare()
        check_address()  # again: setting up may have taken its time
    connections.close_all()
    embedded.keep_through_exec()
    become(development_server() if reload else production_server())


def prepare() -> None:
    """Bring the database and the static files up to date; have demo data, if they are wanted, and say so."""
    migrate()
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("rebuild_search_index", "--missing")
    if wants_demo():
        call_command("seed_demo", "--if-empty")
        say_where()


def check_address() -> None:
    """Raise ServeError unless HOST and PORT can be listened on."""
    if not (PORT.isdecimal() and 0 < int(PORT) < PORTS):
        message = f"PORT is {PORT}: it must be a number from 1 to {PORTS - 1}."
        raise ServeError(message)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(HOST, PORT, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        message = (
            f"cannot listen on port {PORT} of {HOST}: {error.strerror}. Choose another, like `make run PORT=8001`."
        )
        raise ServeError(message) from error


def check_static_files() -> None:
    """Raise ServeError unless the files are gathered whose names pages ask for."""
    root = Path(settings.STATIC_ROOT)
    if not (settings.EMBEDDED or (root / "staticfiles.json").is_file()):
        raise ServeError(f"there are no static files in {root}: run `manage.py collectstatic` first.")


def migrate() -> None:
    """Apply the migrations that the database lacks."""
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        sys.stderr.write(f"Applying {len(plan)} migrations\n")
        call_command("migrate", interactive=False, verbosity=0)


def wants_demo() -> bool:
    """Tell whether to have demo data: in the embedded database, elsewhere with DEMO=1 only."""
    return os.environ.get("DEMO", "1" if settings.EMBEDDED else "") == "1"


def say_where() -> None:
    """Print the address, the demo logins and a request to paste; let GraphiQL have the token too."""
    printed = io.StringIO()
    call_command("issue_token", DEMO_USER, stdout=printed, stderr=io.StringIO())
    token = printed.getvalue().strip()
    if HOST in LOOPBACK:  # whoever opens the page can read it
        os.environ.setdefault("GRAPHIQL_TOKEN", token)
    host = "localhost" if HOST in EVERYWHERE else HOST
    url = f"http://[{host}]:{PORT}" if ":" in host else f"http://{host}:{PORT}"
    password = embedded.secret("demo-password")
    told = f"curl {url}/metrics -H 'Authorization: Bearer {settings.METRICS_TOKEN}'"
    metrics = told if settings.METRICS_TOKEN else "none: METRICS_TOKEN is not set"
    sys.stdout.write(BANNER.format(url=url, password=password, token=token, user=DEMO_USER, metrics=metrics))
    sys.stdout.flush()


def production_server() -> list[str]:
    """Return the command of the production server."""
    # No more at once than a worker has database connections: none waits for one while it holds up others.
    return ["project.server", HOST, PORT, WORKERS, str(settings.AT_ONCE), str(settings.DRAIN_SECONDS)]


def development_server() -> list[str]:
    """Return the command of the server that starts again when the code changes."""
    return ["django", "runserver", f"[{HOST}]:{PORT}" if ":" in HOST else f"{HOST}:{PORT}"]


def become(module: list[str]) -> NoReturn:
    """Replace this process by a Python module."""
    if "MAKELEVEL" in os.environ:  # it ends when make does, even killed
        die_with_parent(signal.SIGTERM)
    os.chdir(Path(__file__).resolve().parent.parent)
    os.execv(sys.executable, [sys.executable, "-m", *module])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    try:
        main(reload="--reload" in sys.argv[1:], prepared="--prepared" in sys.argv[1:])
    except (ServeError, embedded.EmbeddedError, EnvError, CommandError, OperationalError) as error:
        sys.stderr.write(f"workgraph: {' '.join(str(error).split())}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
