#!/bin/sh
# A paid drill: one machine of AWS from offer to gone, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
# AWS_REGION. The reaper is the `aws` command line, which signs by itself.
set -eu
: "${AWS_ACCESS_KEY_ID:?is not set}" "${AWS_SECRET_ACCESS_KEY:?is not set}" "${AWS_REGION:?is not set}"
command -v aws > /dev/null || { echo "the aws command line is needed as an independent reaper" >&2; exit 5; }
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/drill.sh" aws sh -c '
  sleep "${DRILL_REAPER_AFTER:-1500}"
  calm=0
  while [ "$calm" -lt 80 ]; do
    left=$(aws ec2 describe-instances --output text \
      --filters "Name=tag:mayfly-run,Values=$DRILL_RUN" "Name=instance-state-name,Values=pending,running,stopping,stopped" \
      --query "Reservations[].Instances[].InstanceId") || { sleep 15; continue; }
    sleep 15
    calm=$((calm + 1))
    [ -n "$left" ] || continue
    calm=0
    aws ec2 terminate-instances --instance-ids $left || :
  done'
