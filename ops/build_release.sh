#!/bin/sh
# Make the folder that this script lies in a release that can be put in service; as root, on each host:
#
#   ops/build_release.sh
#
# Its static files are gathered in the release, with the list of their names. nginx serves copies of them, of all
# releases, from one folder. What is there already is left alone: somebody may be reading it.
set -eu
umask 022
set -a
# shellcheck disable=SC1091
. /etc/workgraph/workgraph.env
set +a
cd "$(dirname "$0")/.."
if [ -n "${STATIC_ROOT:-}" ]; then
    echo "Take STATIC_ROOT out of /etc/workgraph/workgraph.env: each release has static files of its own" >&2
    exit 1
fi
rm -f staticfiles/.built
python3 -I project/environment.py base
case ${GRAPHIQL:-0} in
1 | [tTyY]* | [oO][nN])
    python3 -I project/environment.py local
    .venv/bin/python ide/build.py
    ;;
esac
.venv/bin/python -m compileall -q apps project schema # the service can't write there
.venv/bin/python manage.py collectstatic --no-input --verbosity 0
# A copy that is broken off must not stay under the file's name: what has that is whole.
copies=$(mktemp -d /opt/workgraph/static/.copies.XXXXXX)
trap 'rm -rf "$copies"' EXIT
cp -R staticfiles/. "$copies"
cp -Rln "$copies/." /opt/workgraph/static/
touch staticfiles/.built # put_in_service.sh takes nothing else
