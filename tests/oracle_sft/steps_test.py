"""The trainer's arithmetic against transformers and peft on tiny random models, step by step.

Bounds: every loss within 1e-4 relative, every gradient norm within 1e-3, every adapter weight within
1e-3 and every logit within 1e-4 of the largest: what two right implementations differ by in float32 is
a hundred times less, what a fault makes is more.
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reference"))
try:
    import lora_sft
    import torch
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
BOUNDS = (1e-4, 1e-3, 1e-3, 1e-4)
CASES = {
    "grouped heads, tied": dict(tied=True, kv=2),
    "llama 3 rope, head width 16, untied": dict(rope=LLAMA3_ROPE, head=16, kv=4),
    "accumulation, rslora, four targets, warm-up stable decay": dict(
        micro=3, rslora=True, decay=6, targets=["q_proj", "v_proj", "o_proj", "up_proj"]),
    "two shards, no clipping": dict(shard="20KB", clip=0.0),
    "gradient descent with momentum": dict(optimizer="sgd"),
    "muon": dict(optimizer="muon"),
    "dora": dict(dora=True, tied=True, kv=2),
    "dora, rslora, three targets, accumulation": dict(
        dora=True, rslora=True, micro=2, targets=["k_proj", "o_proj", "down_proj"]),
}


def tiny_model(folder, case):
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=96, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=case.get("kv", 1), head_dim=case.get("head", 12), rms_norm_eps=1e-5,
        tie_word_embeddings=case.get("tied", False), initializer_range=0.2,
        rope_parameters=case.get("rope", {"rope_type": "default", "rope_theta": 10000.0}))
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    model.save_pretrained(folder, max_shard_size=case.get("shard", "1GB"))
    assert case.get("shard") is None or (folder / "model.safetensors.index.json").exists()


def random_steps(count, micro, draw):
    def document():
        n = draw.randint(2, 90)
        return {"tokens": [draw.randrange(96) for _ in range(n)],
                "trained": [int(draw.random() < 0.6) for _ in range(n - 1)] + [1]}
    return [[[document() for _ in range(3)] for _ in range(micro)] for _ in range(count)]


def largest(values):
    return max(abs(v) for v in values)


def reference(spec, nudge=0.0):
    """Steps, adapter by the names of its file, and the first document's logits before and after."""
    steps, model, before = lora_sft.train(spec, nudge=nudge)
    weights = {lora_sft.file_name(n): p.detach() for n, p in model.named_parameters() if p.requires_grad}
    model.eval()
    return steps, weights, (before, lora_sft.logits(model, spec["steps"][0][0][0]["tokens"]))


def distances(ours, theirs):
    """Of losses, gradient norms, weights (of the largest) and logits (of the largest)."""
    loss = largest(a["loss"] / b["loss"] - 1 for a, b in zip(ours[0], theirs[0]))
    norm = largest(a["grad_norm"] / b["grad_norm"] - 1 for a, b in zip(ours[0], theirs[0]))
    top = max(p.abs().max().item() for p in theirs[1].values())
    weight = max((ours[1][n] - p).abs().max().item() for n, p in theirs[1].items()) / top
    logit = max(((mine - right).abs().max() / right.abs().max()).item() for mine, right in zip(ours[2], theirs[2]))
    return loss, norm, weight, logit


def check(name, case, folder):
    tiny_model(folder / "model", case)
    lora_sft.new_adapter(folder / "model", folder / "adapter", rank=4, alpha=8, b_std=0.1,
                         targets=case.get("targets", lora_sft.ALL_LINEAR), rslora=case.get("rslora", False), dora=case.get("dora", False))
    spec = {"model": str(folder / "model"), "adapter": str(folder / "adapter"), "bf16": False, "threads": 1,
            "learning_rate": 1e-2, "warmup": 3, "weight_decay": 0.01, "max_grad_norm": case.get("clip", 1.0),
            "steps": random_steps(20, case.get("micro", 1), random.Random(7))}
    spec |= {key: case[key] for key in ("decay", "optimizer") if key in case}
    (folder / "spec.json").write_text(json.dumps(spec))
    program = pathlib.Path(os.environ["MAYFLY_BIN"]) / "sft_steps"
    subprocess.run([program, folder / "spec.json", folder], check=True)
    ours = json.loads((folder / "steps.json").read_text()), load_file(folder / "adapter_model.safetensors")
    got = load_file(folder / "logits.safetensors")
    theirs = reference(spec)
    assert [s["supervised"] for s in ours[0]] == [s["supervised"] for s in theirs[0]]
    assert largest(a["learning_rate"] - b["learning_rate"] for a, b in zip(ours[0], theirs[0])) < 1e-15
    assert len(ours[0]) == len(theirs[0]) == 20
    assert sorted(ours[1]) == sorted(theirs[1]), "other tensors than peft's"
    found = distances((*ours, (got["before"], got["after"])), theirs)
    bounds = BOUNDS
    if spec.get("optimizer") == "muon":  # rounds to bfloat16, so that 1e-7 becomes 4e-3 of an element now and then
        own = distances(reference(spec, nudge=1e-7), theirs)
        bounds = [max(bound, 4 * distance) for bound, distance in zip(BOUNDS, own)]
    print(f"{name}: " + ", ".join(f"{what} {distance:.1e} of {bound:.1e}" for what, distance, bound in zip(
        ("loss", "gradient norm", "weights", "logits"), found, bounds)) +
        f"; loss {theirs[0][0]['loss']:.4f} -> {theirs[0][-1]['loss']:.4f}")
    assert all(distance < bound for distance, bound in zip(found, bounds))


for case_name, settings in CASES.items():
    with tempfile.TemporaryDirectory() as temporary:
        check(case_name, settings, pathlib.Path(temporary))
