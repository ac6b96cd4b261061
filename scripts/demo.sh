# The demo, sourced by ./dev: the whole job on this machine, and then what came out of it.
# shellcheck shell=bash disable=SC2154  # cache, root: ./dev

# demo [LAUNCH-OPTION...]
demo() {
  local name out=$root/build/demo
  setup_build
  setup_model
  build
  export MAYFLY_DEMO_MODEL=$cache/smollm2-135m-instruct
  name=$(bin/launch name -c configs/demo.yaml)
  rm -rf "$out" && mkdir -p "$out"

  say "" "== The job: launch --phase sft -c configs/demo.yaml --follow"
  local status=0
  bin/launch --phase sft -c configs/demo.yaml --run-name "$name" --follow --yes "$@" || status=$?
  [ $status = 0 ] || fail "the run ended with exit code $status" \
    "docs/exit_codes.md says what it means; bin/launch logs $name shows the logs"

  say "" "== The proof that the machine is gone: launch receipt $name --verify"
  bin/launch receipt "$name" --verify
  say "" "== What the hub has, asked over HTTP"
  bin/status "$name" --json >"$out/status.json"
  python3 scripts/show_hub.py "$out/status.json" "$MAYFLY_DEMO_MODEL"
  bin/launch pull "$name" --to "$out/adapter" >/dev/null
  sample "$MAYFLY_DEMO_MODEL" "$out/adapter"
  say "" "done in $((SECONDS / 60)) min $((SECONDS % 60)) s"
}

# sample MODEL ADAPTER: a held-out question, answered without and with what was trained.
sample() {
  local question
  question=$(sed -n 2p configs/demo/held_out.jsonl |
    python3 -c 'import json, sys; print(json.loads(sys.stdin.readline())["messages"][0]["content"])')
  say "" "== A question that was not trained on" "$question"
  say "" "-- the base model answers"
  answer "$question" --model "$1"
  say "" "-- with the adapter"
  answer "$question" --model "$1" --adapter "$2"
}
answer() {
  local question=$1
  shift
  bin/train generate --prompt "$question" --max-new-tokens 96 "$@" 2>"$logs/generate.log" ||
    { cat "$logs/generate.log" >&2; fail "no answer"; }
}
