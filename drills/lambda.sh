#!/bin/sh
# A paid drill: one machine of lambda from offer to gone, with the key in LAMBDA_API_KEY.
set -eu
: "${LAMBDA_API_KEY:?is not set}"
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/drill.sh" lambda sh -c 'exec python3 "$0" lambda "$DRILL_RUN" ${DRILL_REAPER_AFTER:-1500}' "$here/reaper.py"
