#!/bin/sh
# Fetches the programs, checks them, starts the agent. Nothing clever.
#
# `programs` has a line "<name> <sha256> <url>" each. A program whose SHA-256 differs is refused, and
# then the instance ends: it could do nothing but cost money. MAYFLY_ROOT is set on the local
# provider; there this script keeps the agent running, elsewhere systemd does.
set -eu
R="${MAYFLY_ROOT:-}"
D="$R/opt/mayfly"

give_up() {
  echo "bootstrap: $1" >&2
  echo "$1" > "$D/bootstrap-failed" || true
  exec sh "$D/fuse.sh" fire bootstrap
}

# fetch SHA256 URL FILE
fetch() {
  case "$2" in
    file://*)
      cp -- "${2#file://}" "$3"
      # An installed trainer looks for its libraries beside its folder.
      libraries="${2#file://}"; libraries="${libraries%/*}/../lib"
      if [ -d "$libraries/mayfly" ]; then ln -sfn "$libraries" "$D/lib"; fi ;;
    https://*) curl -fsS --proto =https --connect-timeout 10 --speed-limit 1024 --speed-time 30 \
      --max-time 900 -o "$3" --url "$2" ;;
    *) echo "bootstrap: not an address of a program: $2" >&2; return 1 ;;
  esac
  echo "$1  $3" | sha256sum -c --status || { echo "bootstrap: wrong SHA-256: $2" >&2; return 1; }
}

mkdir -p "$D/bin"
while read -r name sha url; do
  case "$name" in '' | *[!a-z0-9-]*) give_up "not a name of a program: $name" ;; esac
  fetched=no
  for pause in 0 1 4; do
    sleep "$pause"
    if fetch "$sha" "$url" "$D/bin/.$name"; then fetched=yes; break; fi
    case "$url" in file://*) break ;; esac
  done
  [ "$fetched" = yes ] || give_up "cannot get the program $name"
  chmod 0755 "$D/bin/.$name"
  mv "$D/bin/.$name" "$D/bin/$name"
done < "$D/programs"

if [ -z "$R" ]; then
  systemctl daemon-reload
  systemctl enable mayfly-agent.service
  exec systemctl start --no-block mayfly-agent.service
fi
while :; do
  "$D/bin/agent" run --plan "$D/plan.json" --secrets "$R/run/mayfly/secrets.json" || true
  sleep 1
done
