# ./dev mutate [PATCH...]: takes one safeguard away at a time and looks whether the tests notice. Sourced by ./dev.
# Each tests/mutations/*.patch names in its first line the tests that must fail ("# caught by: REGEX"), and
# where the trainer is needed a preset in its second ("# preset: cpu"). Works on a copy of the tree.
# shellcheck shell=bash disable=SC2154  # root, logs: ./dev

mutate() {
  setup_test
  packages patch
  local tree=$root/build/mutate patches=("$@") patch survived=0 number=0
  [ ${#patches[@]} -gt 0 ] || patches=(tests/mutations/*.patch)
  copy_tree "$tree"
  for patch in "${patches[@]}"; do
    number=$((number + 1))
    try_mutation "$tree" "$root/${patch#"$root"/}" || survived=$((survived + 1))
  done
  say "$number mutations, $((number - survived)) caught"
  [ $survived = 0 ] || fail "$survived mutations were not caught, or do not apply any more" \
    "a safeguard without a test: add the test, or mend the patch"
}

# Files that git knows or would take up; what changed since the last time only, so that little is built anew.
copy_tree() {
  mkdir -p "$1"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --update --parents -t "$1"
}

# 0: the tests that the patch names failed.
try_mutation() {
  local tree=$1 patch=$2 name tests preset status=0
  name=$(basename "$patch" .patch)
  tests=$(sed -n '1s/^# caught by: //p' "$patch")
  preset=$(sed -n '2s/^# preset: //p' "$patch")
  preset=${preset:-dev}
  [ -n "$tests" ] || { say "NOT CAUGHT  $name: its first line does not name the tests that catch it"; return 1; }
  [ -d "$tree/build/$preset" ] || (cd "$tree" && step "mutate-configure" "configure a copy, preset $preset" \
    cmake --preset "$preset" "-DMAYFLY_CACHE=$cache")
  if ! (cd "$tree" && patch -s -p1 --forward --dry-run <"$patch") >"$logs/mutate-$name.log" 2>&1; then
    say "NOT CAUGHT  $name: the patch does not apply"
    return 1
  fi
  (cd "$tree" && patch -s -p1 <"$patch")
  run_mutated "$tree" "$preset" "$tests" >"$logs/mutate-$name.log" 2>&1 || status=$?
  (cd "$tree" && patch -s -p1 -R <"$patch")
  case $status in
    0) say "caught      $name  by $(grep -cE '\*\*\*(Failed|Exception|Timeout)' "$logs/mutate-$name.log") tests" ;;
    2) say "NOT CAUGHT  $name: it does not build: ${logs#"$root"/}/mutate-$name.log" ;;
    3) say "NOT CAUGHT  $name: no test is named like $tests" ;;
    *) say "NOT CAUGHT  $name: $tests passed" ;;
  esac
  return $status
}

run_mutated() {
  cmake --build "$1/build/$2" -j "$(compilers)" || return 2
  ctest --test-dir "$1/build/$2" -R "$3" -N | grep -q 'Total Tests: 0' && return 3
  ! ctest --test-dir "$1/build/$2" -R "$3" -j "$(($(nproc) * 6))" --timeout 300
}
