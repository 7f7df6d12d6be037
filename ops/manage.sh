#!/bin/sh
# Run an administrative command of this release with the service's settings, as the service's user; as root:
#
#   ops/manage.sh issue_token ada@acme.example
set -eu
set -a
# shellcheck disable=SC1091
. /etc/workgraph/workgraph.env
set +a
cd "$(dirname "$0")/.."
exec runuser -u workgraph -- .venv/bin/python manage.py "$@"
