#!/bin/sh
# A paid drill: one machine of shadeform from offer to gone, with the key in SHADEFORM_API_KEY.
set -eu
: "${SHADEFORM_API_KEY:?is not set}"
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/drill.sh" shadeform sh -c 'exec python3 "$0" shadeform "$DRILL_RUN" ${DRILL_REAPER_AFTER:-1500}' "$here/reaper.py"
