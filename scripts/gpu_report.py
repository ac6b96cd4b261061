"""Writes report.md out of what ./dev gpu left in a folder: steps.tsv, kernels.jsonl, steps.jsonl, peer.jsonl.

Roofline of a kernel: what the GPU copies in a second. Of a step: the GPU's dense bf16 peak as its maker says, where the
name is known here; a step's operations leave attention out.
"""
import json
import pathlib
import sys

PEAK_TFLOPS = {"L4": 121, "A100": 312, "H100": 989, "H200": 989, "B200": 2250, "T4": 65, "L40S": 362}


def lines(path):
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            pass  # a program that died in the middle of a line; steps.tsv has its exit code
    return found


def table(head, rows):
    text = "| " + " | ".join(head) + " |\n|" + " --- |" * len(head) + "\n"
    return text + "".join("| " + " | ".join(map(str, row)) + " |\n" for row in rows) + "\n"


def main(folder):
    kernels, steps, peers = (lines(folder / f"{name}.jsonl") for name in ("kernels", "steps", "peer"))
    gpu = next((line for line in kernels if "gpu" in line), None)
    text = "# On a GPU\n\n"
    if gpu:
        text += f"{gpu['gpu']}, compute capability {gpu['capability']}, copies {gpu['copied_gb_s']} GB/s.\n\n"
    ended = [line.split("\t") for line in (folder / "steps.tsv").read_text().splitlines()]
    text += table(("step", "exit code", "seconds"), (row[:3] for row in ended))
    text += table(("kernel", "type", "shape", "µs", "GB/s", "share of a copy"),
                  ((k["kernel"], k["type"], k["shape"], k["microseconds"], k["gb_s"], k["of_copy"])
                   for k in kernels if "kernel" in k))
    # By whole words, so that L40S is not taken for an L4.
    words = gpu["gpu"].replace("-", " ").split() if gpu else []
    peak = next((PEAK_TFLOPS[word] for word in words if word in PEAK_TFLOPS), None)
    rows = []
    for step in steps:
        peer = next((p for p in peers if all(p[k] == step[k] for k in ("model", "tokens", "form"))), None)
        rows.append((f"{step['model']}, {step['form']}", step["tokens"], step["checkpointing"], step["device"], step["tokens_s"],
                     f"{step['tokens_s'] / peer['tokens_s']:.2f}" if peer else "not installed",
                     f"{step['tflops'] / peak:.2f}" if peak and step["device"] != "cpu" else "unknown"))
    text += table(("model", "tokens", "checkpointing", "device", "tokens/s", "to torch + peft", "of peak"), rows)
    (folder / "report.md").write_text(text.rstrip() + "\n")
    print(folder / "report.md")


main(pathlib.Path(sys.argv[1]))
