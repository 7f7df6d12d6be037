#!/bin/sh
# Put the release that this script lies in into service on this host; as root:
#
#   /opt/workgraph/releases/VERSION/ops/put_in_service.sh [PORT...]     (8001 8002)
#
# Timers and instances that start follow the link `current`, so it is turned only once the database is migrated. The
# release before is put back in the same way.
#
# Exit code 1: somebody else does it just now, the release is not built, or the database is not migrated, and nothing was
# done; or see rolling_restart.sh.
set -eu
release=$(cd "$(dirname "$0")/.." && pwd -P)
exec 9</opt/workgraph/releases # held until the last restart is done
if ! flock --nonblock 9; then
    echo "A release is being put in service on this host just now" >&2
    exit 1
fi
if [ ! -e "$release/staticfiles/.built" ]; then
    echo "This release is not built: $release/ops/build_release.sh" >&2
    exit 1
fi
if ! "$release/ops/manage.sh" migrate --check; then
    echo "The database is not ready for this release: systemctl start workgraph-migrate@${release##*/}, on one host" >&2
    exit 1
fi
ln -sfT "$release" /opt/workgraph/current
exec "$release/ops/rolling_restart.sh" "$@"
