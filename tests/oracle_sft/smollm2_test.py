"""Twenty steps of `train sft` on SmolLM2-135M and GSM8K against transformers and peft: the whole way from YAML,
chat template and tokenizer to the last weight, in float32, from the same adapter and in the file's order.

Bounds: every loss within 1e-4 relative, every gradient norm within 1e-3, every adapter weight within 1e-3 of the
largest. Short conversations, so that both together take about a minute on two cores.
"""
import json
import lzma
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reference"))
try:
    import lora_sft
    from safetensors.torch import load_file
    from transformers import AutoTokenizer
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

MODEL = pathlib.Path(os.environ["MAYFLY_CACHE"]) / "smollm2-135m-instruct"
DATA = pathlib.Path(__file__).parent.parent / "data" / "gsm8k" / "train.messages.jsonl.xz"
STEPS, BATCH, ROWS = 20, 2, 1500
if not (MODEL / "model.safetensors").exists():
    print(f"skipped: {MODEL} is missing; ./dev setup makes it")
    sys.exit(77)


def reference_tokens(tokenizer, messages):
    """Trained are the answer and its end-of-turn token: all after the prompt but the newline at the end."""
    def ids(*arguments, **options):
        text = tokenizer.apply_chat_template(*arguments, tokenize=False, **options)
        return tokenizer(text, add_special_tokens=False)["input_ids"]
    prompt, tokens = ids(messages[:1], add_generation_prompt=True), ids(messages)
    assert tokens[:len(prompt)] == prompt
    return {"tokens": tokens, "trained": [int(len(prompt) <= i < len(tokens) - 1) for i in range(len(tokens))]}


def short_conversations(tokenizer):
    """The shortest of the first ROWS, in the file's order: (documents, lines)."""
    with lzma.open(DATA, "rt", encoding="utf-8") as file:
        lines = [line for line, _ in zip(file, range(ROWS))]
    short = sorted(sorted(range(ROWS), key=lambda i: len(lines[i]))[:STEPS * BATCH])
    return [reference_tokens(tokenizer, json.loads(lines[i])["messages"]) for i in short], [lines[i] for i in short]


def largest(values):
    return max(abs(v) for v in values)


def check(folder):
    documents, lines = short_conversations(AutoTokenizer.from_pretrained(MODEL))
    (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    lora_sft.new_adapter(MODEL, folder / "adapter", rank=16, alpha=32, b_std=0.01)
    (folder / "run.yaml").write_text(f"""
model: {{base: {MODEL}}}
run: {{name: oracle}}
data: {{path: [train.jsonl], shuffle: false, cutoff_len: 256}}
lora: {{init_from: adapter, r: 16, alpha: 32}}
train:
  {{max_steps: {STEPS}, per_device_batch_size: {BATCH}, learning_rate: 2e-4, warmup_steps: 2, weight_decay: 0.01,
    max_grad_norm: 1.0, bf16: false, threads: 2}}
""")
    done = subprocess.run([pathlib.Path(os.environ["MAYFLY_BIN"]) / "train", "sft", "-c", "run.yaml"], cwd=folder,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    adapter = pathlib.Path(done.stdout.strip())
    events = [json.loads(line) for line in (adapter.parent / "events.jsonl").read_text().splitlines()]
    ours = [event for event in events if event["event"] == "step"]

    spec = {"model": str(MODEL), "adapter": str(folder / "adapter"), "learning_rate": 2e-4, "warmup": 2,
            "weight_decay": 0.01, "max_grad_norm": 1.0,
            "steps": [[documents[i * BATCH:(i + 1) * BATCH]] for i in range(STEPS)]}
    theirs, model, _ = lora_sft.train(spec, threads=2)
    assert len(ours) == len(theirs) == STEPS
    loss = largest(a["loss"] / b["loss"] - 1 for a, b in zip(ours, theirs))
    norm = largest(a["grad_norm"] / b["grad_norm"] - 1 for a, b in zip(ours, theirs))
    rate = largest(a["learning_rate"] - b["learning_rate"] for a, b in zip(ours, theirs))
    weights = load_file(adapter / "adapter_model.safetensors")
    expected = {n.replace(".default", ""): p.detach() for n, p in model.named_parameters() if p.requires_grad}
    assert sorted(weights) == sorted(expected)
    top = max(p.abs().max().item() for p in expected.values())
    weight = max((weights[n] - p).abs().max().item() for n, p in expected.items()) / top
    print(f"loss {loss:.1e} of 1e-4, gradient norm {norm:.1e} of 1e-3, weights {weight:.1e} of 1e-3; "
          f"loss {theirs[0]['loss']:.4f} -> {theirs[-1]['loss']:.4f}")
    assert loss < 1e-4 and norm < 1e-3 and weight < 1e-3 and rate < 1e-15


with tempfile.TemporaryDirectory() as temporary:
    check(pathlib.Path(temporary))
