# The demo, sourced by ./dev: the whole job on this machine, and then what came out of it.
# shellcheck shell=bash disable=SC2154  # cache, root: ./dev

demo() {
  local data=configs/demo/held_out.jsonl name work=$root/build/demo model
  setup_build
  setup_model
  build
  model=$cache/smollm2-135m-instruct
  export MAYFLY_DEMO_MODEL=$model
  name=$(bin/launch name -c configs/demo.yaml)
  rm -rf "$work" && mkdir -p "$work"

  say "" "== The job: launch -c configs/demo.yaml --follow" ""
  bin/launch -c configs/demo.yaml --run-name "$name" --follow

  say "" "== What came out of it"
  bin/launch pull "$name" --to "$work/adapter"
  bin/launch receipt "$name" --verify
  sample "$model" "$work/adapter" "$data"
}

# One held-out question, answered by the base model and by the adapter that was trained.
sample() {
  local question
  question=$(sed -n 1p "$3" | python3 -c 'import json, sys; print(json.loads(sys.stdin.readline())["messages"][0]["content"])')
  say "" "== A question that was not trained on" "$question"
  say "" "-- base model"
  bin/train generate --model "$1" --prompt "$question" --max-new-tokens 160 2>"$logs/generate-base.log"
  say "" "-- with the adapter"
  bin/train generate --model "$1" --adapter "$2" --prompt "$question" --max-new-tokens 160 2>"$logs/generate-tuned.log"
}
