"""Ours and the peers in turn, in one run, on the same model and data: bench/RESULTS.md.

    side_by_side.py TRAIN MODEL DATA [--rounds 3] [--steps 10] [--only CASE,...] [--out FILE]

A round runs every trainer of every case once, so that what else the machine does meets all of them.
A step's rate is its tokens over the time from the end of the step before to its own; the first two
steps of a process are left out. Memory is the most that the process had resident, as the kernel
counted it; `first step` is from the start of the process to the end of its first step.

TRL, transformers and peft are those of the tests (requirements/oracle.txt); peers/*.py run them.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).parent
WARM_UP = 2
LENGTH, BATCH, RANK = 256, 4, 16
# Case: what our file says, what the peers' scripts are told, and the goal of each ratio.
CASES = {
    "all tokens": {"ours": ["data.train_on=all"],
                   "plain loop": ["plain_loop.py"], "TRL": ["trl_sft.py"],
                   "goals": {"plain loop": 1.7, "TRL": 3.0}},
    "assistant only": {"ours": [], "TRL": ["trl_sft.py", "--assistant-only"],
                       "goals": {"TRL": 3.5}},
    "NF4": {"ours": ["data.train_on=all", "quant.bits=4"],
            "plain loop": ["plain_loop.py", "--quant", "nf4"], "goals": {"plain loop": 1.7}},
}
NAMES = {"plain loop": "transformers + peft, bare loop", "TRL": "TRL SFTTrainer"}


def busy():
    """Seconds of processor time that the machine has spent on anything."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return (sum(v) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")


def run(command, **words):
    """Runs it to its end: output, peak resident bytes, cores that others used meanwhile, start."""
    began, before = time.time(), busy()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **words)
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    # Two pipes to the end, then the kernel's account of this child alone.
    readers = [threading.Thread(target=lambda a, b: b.write(a.read()), args=pair)
               for pair in ((process.stdout, out), (process.stderr, err))]
    for reader in readers:
        reader.start()
    _, status, usage = os.wait4(process.pid, 0)
    for reader in readers:
        reader.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.time() - began
    others = max(0.0, (busy() - before - usage.ru_utime - usage.ru_stime) / took)
    texts = []
    for file in (out, err):
        file.seek(0)
        texts.append(file.read().decode(errors="replace"))
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}\n{texts[1][-3000:]}")
    return texts[0], usage.ru_maxrss * 1024, others, began


def seconds_of(utc):
    return datetime.datetime.fromisoformat(utc.replace("Z", "+00:00")).timestamp()


def measure_ours(train, model, data, steps, settings):
    with tempfile.TemporaryDirectory() as folder:
        words = [f"model.base={model}", f"data.path=[{data}]", f"data.cutoff_len={LENGTH}",
                 f"data.sample_size={BATCH * steps}", "data.shuffle=false", "data.test_size=0",
                 f"train.batch_size={BATCH}", f"train.max_steps={steps}", "train.warmup_ratio=0",
                 f"lora.r={RANK}", f"lora.alpha={2 * RANK}",
                 *settings]
        command = [train, "sft", "-q"] + [x for w in words for x in ("--set", w)]
        _, peak, others, began = run(command, cwd=folder)
        events = [json.loads(line) for line in
                  next(pathlib.Path(folder).rglob("events.jsonl")).read_text().splitlines()]
    done = [(seconds_of(e["time"]), e["tokens"]) for e in events if e["event"] == "step"]
    rates = [tokens / (at - before) for (before, _), (at, tokens) in
             zip(done[WARM_UP - 1:], done[WARM_UP:])]
    return {"rates": rates, "peak": peak, "first_step_s": done[0][0] - began, "others": others,
            "step_s": done[1][0] - done[0][0]}


def measure_peer(model, data, steps, words):
    script, *options = words
    out, peak, others, _ = run(
        [sys.executable, HERE / "peers" / script, "--model", model, "--data", data, "--dtype",
         "bf16", "--steps", str(steps), "--threads", str(os.cpu_count()), *options])
    record = json.loads(out.strip().splitlines()[-1])
    rates = [s[3] / s[0] for s in record["samples"][WARM_UP:]]
    return {"rates": rates, "peak": peak, "first_step_s": record["first_step_s"], "others": others,
            "step_s": statistics.median(s[0] for s in record["samples"][WARM_UP:])}


def spread(values, form="{:.0f}"):
    show = form.format
    return f"{show(statistics.median(values))} [{show(min(values))}–{show(max(values))}]"


def table(case, found):
    """The rows of one case, each with its ratio to ours and whether the goal is met."""
    ours = found["ours"]
    rate = statistics.median(r for one in ours for r in one["rates"])
    peak = statistics.median(one["peak"] for one in ours)
    first = statistics.median(one["first_step_s"] for one in ours)
    lines = [f"## {case}", "",
             "| trainer | tokens/s | ours is faster | peak memory, GB | ours needs | first step after, s | ours takes |",
             "|---|---|---|---|---|---|---|"]
    for who, runs in found.items():
        rates = [r for one in runs for r in one["rates"]]
        peaks = [one["peak"] / 1e9 for one in runs]
        firsts = [one["first_step_s"] for one in runs]
        faster = less = sooner = ""
        if who != "ours":
            ratio, goal = rate / statistics.median(rates), CASES[case]["goals"][who]
            faster = f"{ratio:.2f}x (goal {goal}: {'met' if ratio >= goal else 'missed'})"
            less = f"{peak / 1e9 / statistics.median(peaks):.2f}x"
            sooner = f"{first / statistics.median(firsts):.2f}x"
        lines.append(f"| {NAMES.get(who, 'mayfly')} | {spread(rates)} | {faster} | {spread(peaks, '{:.2f}')} | {less} "
                     f"| {spread(firsts, '{:.1f}')} | {sooner} |")
    others = [one["others"] for runs in found.values() for one in runs]
    return lines + ["", f"Other processes used {spread(others, '{:.2f}')} cores meanwhile.", ""]


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("train", type=os.path.abspath)
    parser.add_argument("model", type=os.path.abspath)
    parser.add_argument("data", type=os.path.abspath)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only")
    parser.add_argument("--out")
    words = parser.parse_args()
    cases = words.only.split(",") if words.only else list(CASES)
    found = {case: {} for case in cases}
    os.environ["HF_HUB_OFFLINE"] = "1"
    for turn in range(words.rounds):
        for case in cases:
            for who, how in CASES[case].items():
                if who == "goals":
                    continue
                one = (measure_ours(words.train, words.model, words.data, words.steps, how)
                       if who == "ours" else
                       measure_peer(words.model, words.data, words.steps, how))
                found[case].setdefault(who, []).append(one)
                print(f"round {turn + 1}  {case:15} {who:11} {spread(one['rates'])} tokens/s  "
                      f"{one['peak'] / 1e9:.2f} GB  first step {one['first_step_s']:.1f} s", flush=True)
    versions = subprocess.run([sys.executable, "-c", "import importlib.metadata as m; print(', '.join("
                               "f'{n} {m.version(n)}' for n in ('torch','transformers','peft','trl')))"],
                              capture_output=True, text=True).stdout.strip()
    lines = ["# Ours and the peers, side by side", "",
             "Made by `./dev bench peers`: `bench/side_by_side.py` says how each figure is taken.", "",
             f"SmolLM2-135M-Instruct, GSM8K cut to {LENGTH} tokens, {BATCH} conversations a step, LoRA of rank {RANK} on all "
             f"linear layers, bf16. {datetime.date.today()}, {processor()}, {os.cpu_count()} cores. {versions}. "
             f"{words.rounds} rounds of {words.steps} steps; medians [least–most].", ""]
    for case in cases:
        lines += table(case, found[case])
    text = "\n".join(lines)
    print(text)
    if words.out:
        pathlib.Path(words.out).write_text(text)


if __name__ == "__main__":
    main()
