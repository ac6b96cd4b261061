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
CASES = {
    "grouped heads, tied": dict(tied=True, kv=2),
    "llama 3 rope, head width 16, untied": dict(rope=LLAMA3_ROPE, head=16, kv=4),
    "accumulation, rslora, four targets, warm-up stable decay": dict(
        micro=3, rslora=True, decay=6, targets=["q_proj", "v_proj", "o_proj", "up_proj"]),
    "two shards, no clipping": dict(shard="20KB", clip=0.0),
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


def check(name, case, folder):
    tiny_model(folder / "model", case)
    lora_sft.new_adapter(folder / "model", folder / "adapter", rank=4, alpha=8, b_std=0.1,
                         targets=case.get("targets", lora_sft.ALL_LINEAR), rslora=case.get("rslora", False))
    spec = {"model": str(folder / "model"), "adapter": str(folder / "adapter"), "bf16": False, "threads": 1,
            "learning_rate": 1e-2, "warmup": 3, "weight_decay": 0.01, "max_grad_norm": case.get("clip", 1.0),
            "steps": random_steps(20, case.get("micro", 1), random.Random(7))}
    if "decay" in case:
        spec["decay"] = case["decay"]
    (folder / "spec.json").write_text(json.dumps(spec))
    program = pathlib.Path(os.environ["MAYFLY_BIN"]) / "sft_steps"
    subprocess.run([program, folder / "spec.json", folder], check=True)
    ours = json.loads((folder / "steps.json").read_text())
    theirs, model, before = lora_sft.train(spec)

    assert [s["supervised"] for s in ours] == [s["supervised"] for s in theirs]
    assert largest(a["learning_rate"] - b["learning_rate"] for a, b in zip(ours, theirs)) < 1e-15
    loss = largest(a["loss"] / b["loss"] - 1 for a, b in zip(ours, theirs))
    norm = largest(a["grad_norm"] / b["grad_norm"] - 1 for a, b in zip(ours, theirs))
    weights = load_file(folder / "adapter_model.safetensors")
    expected = {n.replace(".default", ""): p.detach() for n, p in model.named_parameters() if p.requires_grad}
    assert sorted(weights) == sorted(expected), "other tensors than peft's"
    top = max(p.abs().max().item() for p in expected.values())
    weight = max((weights[n] - p).abs().max().item() for n, p in expected.items()) / top
    model.eval()
    got, first = load_file(folder / "logits.safetensors"), spec["steps"][0][0][0]["tokens"]
    after = lora_sft.logits(model, first)
    logit = max(((mine - right).abs().max() / right.abs().max()).item()
                for mine, right in ((got["before"], before), (got["after"], after)))
    print(f"{name}: loss {loss:.1e} of 1e-4, gradient norm {norm:.1e} of 1e-3, weights {weight:.1e} of 1e-3, "
          f"logits {logit:.1e} of 1e-4; loss {theirs[0]['loss']:.4f} -> {theirs[-1]['loss']:.4f}")
    assert len(ours) == len(theirs) == 20
    assert loss < 1e-4 and norm < 1e-3 and weight < 1e-3 and logit < 1e-4


for case_name, settings in CASES.items():
    with tempfile.TemporaryDirectory() as temporary:
        check(case_name, settings, pathlib.Path(temporary))
