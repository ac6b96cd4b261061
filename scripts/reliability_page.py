#!/usr/bin/env python3
"""docs/reliability.md from what ./dev soak left: reliability_page.py SOAK_FOLDER PAGE

A suite that was not run keeps its row of the page that is there; one that never ran says so.
"""
import json
import os
import re
import sys

SUITES = [
    ("simulated", "the agent's decisions in a simulated world: lost replies, late listings, refused calls, clocks, full disks, "
                  "crashes between any two acts, hung trainers, reclaims; invariants I1-I8 and an end within 20 minutes"),
    ("killed_at_calls", "whole runs whose agent is killed at the n-th system call of each kind it makes"),
    ("without_memory", "whole runs whose agent gets no more memory from the n-th time on that it asks the system for some"),
    ("killed_at_random", "whole runs whose agent, trainer or both are killed at random moments; same bytes as undisturbed"),
    ("killed_launcher", "the launcher killed at every step of creating; afterwards `launch reap`"),
    ("killed_cloud_launch", "the launcher killed at moments of making and setting up a machine at a fake cloud; afterwards `launch reap`"),
    ("power_cut", "images of ext4 and XFS copied at 500 moments each and mounted: the newest complete checkpoint loads"),
    ("network", "each fault of a server at each call of the hub's client"),
    ("long_life", "one agent through 500 checkpoints saved, uploaded and let go: its memory, open files and disk"),
    ("boots", "systemd as PID 1 and the real cloud-init in a container; each layer taken away in turn"),
    ("fuzzed", "parsers under libFuzzer with address and undefined-behaviour sanitizers"),
]
HEAD = """# Reliability, in figures

Two things must not happen: an instance that goes on billing, and a trained adapter that is lost. These are the suites that try
to make them happen, at their long counts: `./dev soak`, which writes this page. `./dev test` runs the same at shorter counts, and
`./dev mutate` takes one safeguard away at a time and sees that a named test fails.

| suite | what is done | outcome | figures | took | of |
| --- | --- | --- | --- | --- | --- |
"""
TAIL = """
Not proven here: what a real provider does (deletion's delay, limits read back, whether the start-up script runs before billing
begins), a driver that hangs, the real hub's limits. That takes a paid drill for each provider.
"""


def simulated(log):
    said = json.loads(log[log.index("{"):log.rindex("}") + 1])
    kinds = said["faults_fired"]
    return [f"runs {said['runs']:,}, lives of the agent {said['lives']:,}, invariants broken {said['broken']}, "
            f"kinds of faults {len(kinds)}, faults {sum(kinds.values()):,}, rarest {min(kinds.values()):,}, "
            f"gone at most {said['worst_seconds_until_gone_after_faults']} s after the faults, "
            f"safe at most {said['worst_seconds_until_safe_after_notice']} s after a notice"]


def boots(log):
    lines = re.findall(r"^\d+: ([^\[\n]*(?:, bytes|, agent|seconds|real times|seed \d+)): ([\d.]+)$", log, re.M)
    return [f"{name}: {value}" for name, value in dict(lines).items()] + re.findall(r"^\d+: (\d+ machines, .*)$", log, re.M)[-1:]


def network(log):
    return [f"tests {n}" for n in re.findall(r"^\[  PASSED  \] (\d+) tests?", log, re.M)]


def fuzzed(log):
    found = re.findall(r"^(\w+) +(\d+) +\d+ +\d+ +(clean|FOUND.*)$", log, re.M)
    return [f"{len(found)} parsers, {sum(int(n) for _, n, _ in found):,} executions, "
            f"{sum(o != 'clean' for _, _, o in found)} findings"]


# Suites whose figures are not in lines of "figures: ".
SAID = {"simulated": simulated, "boots": boots, "network": network, "fuzzed": fuzzed}


def row(folder, suite, what, before):
    result = os.path.join(folder, suite + ".result")
    if not os.path.exists(result):
        return before.get(suite, f"| {suite} | {what} | not run | | | |")
    status, seconds, day, commit = open(result, encoding="utf-8").read().split()
    log = open(os.path.join(folder, suite + ".log"), encoding="utf-8", errors="replace").read()
    figures = re.findall(r"^(?:\d+: )?figures: (.*)$", log, re.M) + SAID.get(suite, lambda _: [])(log)
    outcome = {"0": "passed", "77": "skipped"}.get(status, "FAILED")
    took = f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"| {suite} | {what} | {outcome} | {'; '.join(figures)} | {took} | {day} {commit} |"


def main():
    folder, page = sys.argv[1:]
    before = {}
    if os.path.exists(page):
        for line in open(page, encoding="utf-8"):
            cells = line.split("|")
            if len(cells) > 2:
                before[cells[1].strip()] = line.rstrip("\n")
    rows = [row(folder, suite, what, before) for suite, what in SUITES]
    with open(page, "w", encoding="utf-8") as out:
        out.write(HEAD + "\n".join(rows) + "\n" + TAIL)


if __name__ == "__main__":
    main()
