# ./dev gpu: everything that needs a GPU, in one go of at most ten minutes, into one report.
#
#   ./dev gpu         build, then: the kernels' tests for real, the same under compute-sanitizer, bytes a
#                     second of each kernel, LoRA and QLoRA steps of a model of SmolLM2's shape and of an
#                     8B one with random weights, and the same by torch + peft where python3 has them
#   ./dev gpu --dry   the same way through this script without a GPU: tiny model, the CPU, and recorded
#                     lines in place of the kernels' times; fails where a program is not built
#
# The report is logs/gpu/report.md (MAYFLY_GPU_OUT: another folder), with each step's output beside it.
# A step that fails or runs out of its time is said in the report, and the others are made all the same.

# measure NAME SECONDS FILE COMMAND...: at most so long; stdout to FILE, the rest to NAME.log; notes how it ended.
measure() {
  local name=$1 limit=$2 file=$3 status=0 began=$SECONDS
  shift 3
  gpu_seconds=$((gpu_seconds + limit))
  [ $gpu_counting = true ] && return 0
  if ! command -v "$1" >/dev/null; then
    note "$name" 127 0 "$1 is not here"
    return
  fi
  timeout -k 5 "$limit" "$@" >>"$gpu_out/$file" 2>>"$gpu_out/$name.log" </dev/null || status=$?
  note "$name" "$status" $((SECONDS - began)) "$*"
}

note() {
  printf '%s\t%s\t%s\t%s\n' "$@" >>"$gpu_out/steps.tsv"
  say "$1: exit code $2 after $3 s"
}

gpu() {
  local dry=false bin device=cuda
  case ${1:-} in
    "") ;;
    --dry) dry=true device=cpu ;;
    *) fail "./dev gpu: unknown argument '$1'" "./dev gpu, or ./dev gpu --dry" ;;
  esac
  if [ $dry = false ]; then
    nvcc_path >/dev/null || fail "./dev gpu needs nvcc" "install the CUDA toolkit 13.0, or try ./dev gpu --dry"
    setup_build
    choose_preset
    build_preset cuda
  fi
  bin=${MAYFLY_GPU_BIN:-$root/build/cuda/bin}
  gpu_out=${MAYFLY_GPU_OUT:-$root/logs/gpu}
  # Once without doing anything: what all of it may take.
  gpu_seconds=0 gpu_counting=true
  kernel_steps false
  step_steps false cuda
  [ $gpu_seconds -le 600 ] || fail "the steps may take $gpu_seconds s together; ten minutes were promised"

  gpu_counting=false
  rm -rf "$gpu_out"
  mkdir -p "$gpu_out"
  kernel_steps $dry
  step_steps $dry "$device"
  python3 "$root/scripts/gpu_report.py" "$gpu_out"
  [ $dry = false ] || check_dry
}

# The kernels alone. What needs no driver to start says so and exits with 77.
kernel_steps() {
  if [ "$1" = true ]; then
    measure kernels 20 kernels-dry.jsonl "$bin/kernel_bench"
    cp "$root/tests/gpu_dry/kernels.jsonl" "$gpu_out/kernels.jsonl"
    return
  fi
  measure tests 90 tests.txt "$bin/kernel_gpu_tests" --gtest_brief=1
  local tool
  for tool in memcheck racecheck; do
    measure $tool 60 $tool.txt compute-sanitizer --tool $tool --error-exitcode 9 "$bin/kernel_gpu_tests" --gtest_brief=1
  done
  measure kernels 60 kernels.jsonl "$bin/kernel_bench"
}

# Training: ours, and the peer's where it is installed.
step_steps() {
  local form
  for form in lora qlora; do
    if [ "$1" = true ]; then
      measure "tiny-$form" 60 steps.jsonl "$bin/device_step" tiny 64 2 "$2" $form selective
      continue
    fi
    measure "smollm2-$form" 30 steps.jsonl "$bin/device_step" smollm2 8192 10 "$2" $form false
    measure "peer-$form" 60 peer.jsonl python3 "$root/bench/peer_step.py" smollm2 8192 10 $form
  done
  [ "$1" = true ] && return 0
  measure llama8b-lora 70 steps.jsonl "$bin/device_step" llama8b 8192 3 "$2" lora selective
  measure llama8b-qlora 70 steps.jsonl "$bin/device_step" llama8b 2048 5 "$2" qlora true
}

# A build with nvcc must have started its bench without a driver, and every build trained.
check_dry() {
  local name status seconds words
  while IFS=$'\t' read -r name status seconds words; do
    case $name:$status in
      kernels:77 | kernels:127 | kernels:0 | tiny-*:0) ;;
      *) fail "$name ended with exit code $status after $seconds s: $words" "see $gpu_out/$name.log" ;;
    esac
  done <"$gpu_out/steps.tsv"
  grep -q 'tiny, qlora' "$gpu_out/report.md" || fail "the report says nothing of the steps" "see $gpu_out/report.md"
  say "the script is in order"
}
