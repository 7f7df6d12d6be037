#!/usr/bin/env bash
# Restart the instances of this host one after the other; each has to be ready before the next one goes. One that is
# not ready comes first: a restart may be what it needs.
#
#   ops/rolling_restart.sh [PORT...]     (8001 8002)
#
# RESTART     the command that restarts an instance, given its unit's name (`systemctl restart`)
# PATIENCE    seconds that an instance may take until it is ready (60)
# SETTLE      seconds until the proxy sends to it again: more than fail_timeout in ops/nginx/workgraph.conf (3)
#
# Exit code 1: an instance was not ready. Those that were not restarted by then serve on, as they were.
set -euo pipefail
ports=("$@")
((${#ports[@]})) || ports=(8001 8002)

ready() { curl --silent --fail --max-time 3 --output /dev/null "http://127.0.0.1:$1/readyz"; }

wait_for() {
    local end=$((SECONDS + ${PATIENCE:-60}))
    until ready "$1"; do
        if ((SECONDS >= end)); then
            echo "The instance on port $1 is not ready after ${PATIENCE:-60} s: see journalctl -u workgraph@$1" >&2
            exit 1
        fi
        sleep 0.2
    done
}

up=() down=()
for port in "${ports[@]}"; do
    if ready "$port"; then up+=("$port"); else down+=("$port"); fi
done
ports=("${down[@]}" "${up[@]}")
for port in "${ports[@]}"; do
    for other in "${ports[@]}"; do
        if [[ $other != "$port" ]]; then wait_for "$other"; fi
    done
    ${RESTART:-systemctl restart} "workgraph@$port"
    wait_for "$port"
    echo "workgraph@$port is ready"
    sleep "${SETTLE:-3}"
done
