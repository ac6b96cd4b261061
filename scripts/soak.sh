# ./dev soak [SUITE...]: the suites of reliability at their long counts (an hour and more), and docs/reliability.md
# from what they said. Sourced by ./dev.
#
# Each suite's whole output is in build/soak/SUITE.log; what it found in figures are its lines "figures: ...".
# shellcheck shell=bash disable=SC2154  # root, logs: ./dev

soak_suites="simulated killed_at_calls without_memory killed_at_random killed_launcher killed_cloud_launch power_cut network long_life boots fuzzed"

# soak_command SUITE: prints it.
soak_command() {
  local bin=build/$whole/bin
  case $1 in
    simulated) say "$bin/agent_sim --seeds ${MAYFLY_SEEDS:-100000}" ;;
    killed_at_calls) say "$bin/e2e_kill_tests --gtest_filter=SyscallKillTest.AnAgentKilled*" ;;
    without_memory) say "$bin/e2e_kill_tests --gtest_filter=SyscallKillTest.AnAgentThatGetsNoMoreMemory*" ;;
    killed_at_random) say "$bin/e2e_kill_tests --gtest_filter=KillTest.*" ;;
    killed_launcher) say "$bin/e2e_launch_tests --gtest_filter=KilledLaunchTest.*" ;;
    killed_cloud_launch) say "$bin/e2e_cloud_tests --gtest_filter=KilledCloudLaunchTest.*" ;;
    power_cut) say "$bin/disk_tests --gtest_filter=PowerCut*" ;;
    long_life) say "$bin/e2e_launch_tests --gtest_filter=LongLifeTest.*" ;;
    network) say "$bin/network_tests" ;;
    boots) say "ctest --preset $whole -L boot --verbose" ;;
    fuzzed) say "tests/fuzz/run.sh ${MAYFLY_EXECUTIONS:-10000000}" ;;
    *) fail "./dev soak: no suite is named $1" "there are: $soak_suites" ;;
  esac
}

soak() {
  local suites=${*:-$soak_suites} suite failed=0 status started
  choose_preset
  for suite in $suites; do soak_command "$suite" >/dev/null; done
  setup_test
  packages clang-14 strace
  build_preset "$whole"
  mkdir -p build/soak
  export MAYFLY_SOAK=1 MAYFLY_CACHE=$cache MAYFLY_BIN=$root/build/$whole/bin
  export MAYFLY_KILL_POINTS=${MAYFLY_KILL_POINTS:-500} MAYFLY_KILLED_RUNS=${MAYFLY_KILLED_RUNS:-100} \
    MAYFLY_MEMORY_POINTS=${MAYFLY_MEMORY_POINTS:-300}
  for suite in $suites; do
    started=$SECONDS status=0
    printf '%-19s ' "$suite"
    $(soak_command "$suite") >"build/soak/$suite.log" 2>&1 </dev/null || status=$?
    printf '%s\n' "$status $((SECONDS - started)) $(date -u +%Y-%m-%d) $(git describe --always --dirty)" \
      >"build/soak/$suite.result"
    case $status in
      0) say "passed   $((SECONDS - started)) s" ;;
      77) say "skipped  $(grep -m 1 skipped "build/soak/$suite.log")" ;;
      *) failed=1; say "FAILED   build/soak/$suite.log" ;;
    esac
    sed -n 's/^\([0-9]*: \)*figures: /  /p' "build/soak/$suite.log"
  done
  python3 scripts/reliability_page.py build/soak docs/reliability.md
  [ $failed = 0 ] || fail "a suite failed" "its log is in build/soak"
}
