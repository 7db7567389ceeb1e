#!/usr/bin/env bash
# Sees to it that this machine has what a command needs, or says in one line what is missing.
#
#   packaging/ensure.sh build    Python and Node.js, for the virtual environment and the web assets
#   packaging/ensure.sh demo     build, busybox-static, and a Docker Engine that answers
#   packaging/ensure.sh test     build, and the Debian packages of the real parts the tests start
#   packaging/ensure.sh docker   a Docker Engine that answers, started by us if nobody did
#
# It installs Debian packages only as root where apt is, and only those that are missing.
set -euo pipefail

readonly PYTHON="${PYTHON:-python3}"
readonly DOCKERD_LOG="${DOCKERD_LOG:-/var/log/outstation-dockerd.log}"
readonly DOCKERD_READY_S=60
missing=()

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# One line per thing a package brings: a check that is silent when the thing is there.
need() { # need PACKAGE CHECK...
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

docker_answers() { has docker && docker info >/dev/null 2>&1; }
busybox_is_static() { has busybox && ! ldd "$(readlink -f "$(command -v busybox)")"; }
postgres_is_there() { compgen -G '/usr/lib/postgresql/*/bin/initdb'; }
c_compiles() { has gcc && gcc -E - <<<'#include <stdio.h>'; }

check_python() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        die "Python 3.11 or newer is needed as '$PYTHON': install it, or run make with PYTHON=python3.12"
}

check_node() {
    has node && has npm && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
        die "Node.js 20 or newer with npm is needed for the web assets: see https://nodejs.org/en/download"
}

need_docker() {
    docker_answers && return
    need docker.io has dockerd
    need docker.io has docker
    need iptables has iptables
}

need_real_parts() {
    need_docker
    need busybox-static busybox_is_static
    need postgresql-15 postgres_is_there
    need chromium has chromium
    need gcc c_compiles
    need libc6-dev c_compiles
}

install_missing() {
    [ "${#missing[@]}" -gt 0 ] || return 0
    local wanted
    wanted=$(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')
    wanted=${wanted% }
    if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
        die "this machine lacks: $wanted. Install them as root: apt-get install $wanted"
    fi
    say "installing Debian packages: $wanted"
    [[ $wanted != *postgresql* ]] || keep_postgres_asleep
    local log
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >"$log" 2>&1 || say "warning: apt-get update did not reach every source"
    # shellcheck disable=SC2086  # one word per package is what apt-get takes
    if ! apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold $wanted >>"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install: $wanted"
    fi
    rm -f "$log"
}

# The tests bring up a cluster of their own; the package need not leave one running.
keep_postgres_asleep() {
    local settings=/etc/postgresql-common/createcluster.conf
    [ -e "$settings" ] && return
    mkdir -p "${settings%/*}"
    echo 'create_main_cluster = false' >"$settings"
}

dockerd_lives() {
    local pid
    pid=$(cat /var/run/docker.pid 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

start_docker() {
    docker_answers && return
    if [ "$(id -u)" -ne 0 ]; then
        die "Docker Engine does not answer. Start it as root (systemctl start docker)," \
            "and let this user reach it (usermod -aG docker $(id -un), then log in again)"
    fi
    if [ -d /run/systemd/system ]; then
        systemctl start docker || die "systemctl start docker failed: see journalctl -u docker"
    elif ! dockerd_lives; then
        has dockerd || die "Docker Engine is missing: apt-get install docker.io iptables"
        setsid dockerd >>"$DOCKERD_LOG" 2>&1 </dev/null &
        echo "started dockerd $!"
    fi
    wait_for_docker
}

wait_for_docker() {
    local waited
    for ((waited = 0; waited < DOCKERD_READY_S * 2; waited++)); do
        docker_answers && return
        sleep 0.5
    done
    tail -n 10 "$DOCKERD_LOG" >&2 2>/dev/null || true
    die "Docker Engine did not answer within $DOCKERD_READY_S s; its log is $DOCKERD_LOG"
}

main() {
    case "${1:-}" in
    build)
        check_python
        check_node
        need python3-venv "$PYTHON" -c 'import ensurepip'
        install_missing
        ;;
    demo)
        main build
        need_docker
        need busybox-static busybox_is_static
        install_missing
        start_docker
        ;;
    test)
        main build
        need_real_parts
        install_missing
        ;;
    docker)
        start_docker
        ;;
    *)
        die "usage: packaging/ensure.sh build|demo|test|docker"
        ;;
    esac
}

main "$@"
