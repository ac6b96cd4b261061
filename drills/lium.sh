#!/bin/sh
# A paid drill: one machine of lium from offer to gone, with the key in LIUM_API_KEY.
set -eu
: "${LIUM_API_KEY:?is not set}"
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/drill.sh" lium sh -c 'exec python3 "$0" lium "$DRILL_RUN" ${DRILL_REAPER_AFTER:-1500}' "$here/reaper.py"
