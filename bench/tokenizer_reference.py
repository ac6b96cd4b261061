#!/usr/bin/env python3
"""The loops of tokenizer_bench in HuggingFace tokenizers, beside it, and the ratio; one thread each.

    MAYFLY_BIN=build/release/bin PYTHON bench/tokenizer_reference.py

CPU time is compared, which others on the machine disturb least; runs alternate, the best of each is taken.  The
reference is called as it is fastest: encode_batch over all texts, fresh for each "fresh" run.
"""
import json
import os
import subprocess
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer  # noqa: E402  (the thread count is read when it is loaded)

ROUNDS = 3
BIN = os.environ.get("MAYFLY_BIN", "build/release/bin")
CACHE = os.environ.get("MAYFLY_CACHE", os.path.expanduser("~/.cache/mayfly"))


def ours(what):
    """CPU milliseconds of one benchmark."""
    out = subprocess.run([os.path.join(BIN, "tokenizer_bench"), f"--benchmark_filter=^{what}$",
                          "--benchmark_format=json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(out.stdout)["benchmarks"][0]["cpu_time"]


def timed(work):
    start = time.process_time()
    result = work()
    return (time.process_time() - start) * 1e3, result


def main():
    unpacked = os.path.join(BIN, "..", "bench-data")
    print(f"{'':28} {'ours ms':>9} {'HF ms':>9} {'ratio':>6}   ours M tokens/s")
    worst = None
    for model in ("smollm2", "qwen3"):
        ours(f"load/{model}")  # unpacks what is missing
        folder = os.path.join(CACHE, "smollm2-135m-instruct") if model == "smollm2" else os.path.join(unpacked, model)
        path = os.path.join(folder, "tokenizer.json")
        rows = [(f"load/{model}", None, lambda texts: Tokenizer.from_file(path), 0)]
        for data in ("gsm8k", "oasst"):
            ours(f"encode/{model}/{data}")
            with open(os.path.join(unpacked, data + ".jsonl"), encoding="utf-8") as f:
                texts = [m["content"] for line in f for m in json.loads(line)["messages"]]
            warm = Tokenizer.from_file(path)
            tokens = sum(len(e.ids) for e in warm.encode_batch(texts, add_special_tokens=False))
            encode = lambda t: (lambda texts: t.encode_batch(texts, add_special_tokens=False))
            rows.append((f"encode/{model}/{data}", texts, encode(warm), tokens))
            rows.append((f"encode_fresh/{model}/{data}", texts, None, tokens))
        for name, texts, work, tokens in rows:
            mine, theirs = [], []
            for _ in range(ROUNDS):
                mine.append(ours(name))
                if work is None:
                    fresh = Tokenizer.from_file(path)
                    theirs.append(timed(lambda: fresh.encode_batch(texts, add_special_tokens=False))[0])
                else:
                    theirs.append(timed(lambda: work(texts))[0])
            ratio = min(theirs) / min(mine)
            rate = f"{tokens / min(mine) / 1e3:.1f}" if tokens else ""
            print(f"{name:28} {min(mine):9.1f} {min(theirs):9.1f} {ratio:6.1f}   {rate}", flush=True)
            if tokens:
                worst = min(ratio, worst or ratio)
    print(f"slowest encoding: {worst:.1f} times the reference")
    return 0 if worst >= 10 else 1


if __name__ == "__main__":
    sys.exit(main())
