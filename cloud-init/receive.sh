#!/bin/sh
# The machine's side of the handover, called over SSH by the launcher, as root.
#
#   receive.sh ask    says where the machine's root folder is and how its start-up fares
#   receive.sh take   a tar archive on standard input: plan, secrets, destroy request, data. The last
#                     file in it, `instance`, is what bootstrap.sh waits for: half an archive is none
#   receive.sh show NAME OFFSET ...   files of the run directory from there on, in base64: what the
#                     launcher shows of the run
#   receive.sh request NAME   a request to the agent (docs/agent.md), on standard input
#
# Nothing secret is ever an argument. What is taken stays readable by root alone.
set -eu
umask 077
export LC_ALL=C
R="${MAYFLY_ROOT:-}"
D="$R/opt/mayfly"
M="$R/run/mayfly"
S="$R/var/lib/mayfly"

case "$1" in
  ask)
    echo "root $R"
    [ ! -s "$D/bootstrap-failed" ] || echo "failed $(head -n 1 "$D/bootstrap-failed")"
    [ ! -e "$D/fuse-fired" ] || echo "fired $(head -n 1 "$D/fuse-fired")"
    [ ! -s "$S/instance" ] || echo "taken $(sed -n "s/^MAYFLY_RUN_ID='\(.*\)'$/\1/p" "$S/instance")"
    ;;
  take)
    # Without an armed fuse there must be nothing here that is worth money.
    [ -e "$M/armed" ] || { echo "receive: no fuse is armed yet" >&2; exit 1; }
    mkdir -p "$D" "$S/data"
    chmod 0755 "$D" "$S" "$S/data"
    tar -x -f - -C "$R/" --no-same-owner
    sync -f "$S" 2> /dev/null || sync
    ;;
  show)
    shift
    cd "$S/run" || exit 3
    while [ $# -ge 2 ]; do
      if [ -f "$1" ]; then echo "$1 $2 $(tail -c "+$(($2 + 1))" "$1" | base64 -w 0)"; fi
      shift 2
    done
    ;;
  request)
    case "$2" in '' | .* | */*) exit 2 ;; esac
    mkdir -p "$S/run/agent/requests"
    cat > "$S/run/agent/requests/.$2"
    mv -f "$S/run/agent/requests/.$2" "$S/run/agent/requests/$2"
    ;;
esac
