#!/bin/sh
# The common part of the drills; started by drills/<provider>.sh. Costs the price of some minutes, and at
# most that of 45, when everything goes wrong: 1.50 USD at 2 USD an hour.
#
#   drill.sh PROVIDER REAPER...    REAPER: a command that ends all machines of "$DRILL_RUN" after a while
set -eu
provider=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
program=${CLOUD_DRILL:-$here/../build/light/bin/cloud_drill}
key=${DRILL_KEY:-$HOME/.ssh/id_ed25519.pub}
most=${DRILL_MAX_PRICE:-2.00}
[ -x "$program" ] || { echo "build it first: cmake --build build/light --target cloud_drill" >&2; exit 5; }
[ -r "$key" ] || { echo "there is no public key $key; name one in DRILL_KEY" >&2; exit 5; }

DRILL_RUN=d$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n' | cut -c2-12)
export DRILL_RUN
echo "run $DRILL_RUN: rents one machine of $provider, up to $most USD an hour, and ends it"
if [ "${DRILL_YES:-}" != yes ]; then
  printf 'This costs real money. Type rent to go on: '
  read -r word
  [ "$word" = rent ] || exit 8
fi

# First of all the reaper, on its own: it outlives this script and this terminal.
log=$(mktemp "${TMPDIR:-/tmp}/mayfly-drill-$DRILL_RUN.XXXXXX")
setsid "$@" > "$log" 2>&1 < /dev/null &
reaper=$!
sleep 1
kill -0 "$reaper" || { echo "the reaper did not start:" >&2; cat "$log" >&2; exit 1; }
echo "the reaper runs as process $reaper, log $log"

code=0
"$program" "$provider" "$DRILL_RUN" "$most" "$key" || code=$?
if [ "$code" = 0 ]; then
  kill "$reaper"
  rm -f "$log"
  echo "drill passed"
else
  echo "drill FAILED with exit code $code; the reaper goes on and ends what is left, see $log" >&2
fi
exit "$code"
