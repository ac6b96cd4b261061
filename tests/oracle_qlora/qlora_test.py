"""QLoRA against bitsandbytes, peft and transformers on a tiny random model: the same loss, the same gradients of the
adapter, step by step, when we quantise the weights and when bitsandbytes has; and `train sft` with `quant:` leaves an
adapter that peft loads onto the quantised model.

Bounds: where both have the same weights bit for bit (scales not quantised, or quantised by bitsandbytes), those of
two right implementations in float32: loss 1e-5 relative, gradients 1e-4 of each tensor's largest, gradient norms and
weights after twelve steps 1e-3. Where each quantises the scales itself, a code in some hundred differs by one
(tests/oracle_nf4): loss 2e-3, gradients as directions, cosine 0.999. A fault in the format gives another model: losses
1e-1 apart.

Widths are multiples of 64: where a row is no whole number of blocks, bitsandbytes 0.50.2 restores weights on the CPU
wrongly (160 wide: 9,119 of 10,240 weights are not code times scale), so there is nothing to compare with.
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
    import bitsandbytes  # noqa: F401
    import lora_sft
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

BIN = pathlib.Path(os.environ["MAYFLY_BIN"])
TINY = pathlib.Path(__file__).parent.parent / "data" / "tiny"
VOCABULARY = 400
# Which model folder, what the spec says of quantising, and whether both have the same bits.
CASES = {
    "quantised by us, plain scales": ("model", {"double": False}, True),
    "quantised by us, quantised scales": ("model", {"double": True}, False),
    "a checkpoint of bitsandbytes, quantised scales": ("nested", None, True),
    "a checkpoint of bitsandbytes, plain scales": ("plain", None, True),
}


def make_models(folder):
    torch.manual_seed(3)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=192, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, rms_norm_eps=1e-5, tie_word_embeddings=True, initializer_range=0.2,
        bos_token_id=1, eos_token_id=2))
    model.save_pretrained(folder / "model")
    for name, double in (("nested", True), ("plain", False)):
        lora_sft.load(folder / "model", quant={"double": double}).save_pretrained(folder / name)
    for name in ("model", "nested", "plain"):
        for file in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name / file).write_bytes((TINY / file).read_bytes())
    lora_sft.new_adapter(folder / "model", folder / "adapter", rank=4, alpha=8, b_std=0.1)


def random_steps(count):
    draw = random.Random(7)
    def document():
        n = draw.randint(2, 60)
        return {"tokens": [draw.randrange(VOCABULARY) for _ in range(n)],
                "trained": [int(draw.random() < 0.6) for _ in range(n - 1)] + [1]}
    return [[[document() for _ in range(3)]] for _ in range(count)]


def reference_model(folder, name, quant):
    base = lora_sft.load(folder / name, quant=quant)
    assert "Linear4bit" in str(type(base.model.layers[0].mlp.up_proj)), "the reference is not quantised"
    return PeftModel.from_pretrained(base, folder / "adapter", is_trainable=True)


def largest_difference(got, right):
    assert sorted(got) == sorted(right), "other tensors than peft's"
    return max(((got[n] - right[n]).abs().max() / right[n].abs().max()).item() for n in right)


def cosine(got, right):
    flat = [torch.cat([tensors[n].flatten().double() for n in sorted(right)]) for tensors in (got, right)]
    return torch.nn.functional.cosine_similarity(*flat, dim=0).item()


def check_steps(name, folder):
    model, quant, same_bits = CASES[name]
    spec = {"model": str(folder / model), "adapter": str(folder / "adapter"), "bf16": False, "threads": 1,
            "learning_rate": 5e-3, "warmup": 3, "weight_decay": 0.01, "max_grad_norm": 1.0,
            "steps": random_steps(12)} | ({"quant": quant} if quant else {})
    (folder / "spec.json").write_text(json.dumps(spec))
    subprocess.run([BIN / "sft_steps", folder / "spec.json", folder], check=True)
    ours = json.loads((folder / "steps.json").read_text())
    mine = load_file(folder / "gradients.safetensors")
    right = lora_sft.gradients(reference_model(folder, model, quant), spec["steps"][0][0][0])
    theirs, trained, _ = lora_sft.train(spec)
    weights = {n.replace(".default", ""): p.detach() for n, p in trained.named_parameters() if p.requires_grad}

    loss = max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(ours, theirs))
    norm = max(abs(a["grad_norm"] / b["grad_norm"] - 1) for a, b in zip(ours, theirs))
    gradient, angle = largest_difference(mine, right), cosine(mine, right)
    weight = largest_difference(load_file(folder / "adapter_model.safetensors"), weights)
    print(f"{name}: loss {loss:.1e}, gradients {gradient:.1e}, cosine {angle:.7f}, norm {norm:.1e}, "
          f"weights {weight:.1e}; loss {theirs[0]['loss']:.4f} -> {theirs[-1]['loss']:.4f}")
    assert len(ours) == len(theirs) == 12
    if same_bits:
        assert loss < 1e-5 and gradient < 1e-4 and norm < 1e-3 and weight < 1e-3
    else:
        assert loss < 2e-3 and angle > 0.999


def run(*words, folder):
    done = subprocess.run([BIN / "train", *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_run(model, quant, folder):
    """From YAML to an adapter that peft loads; `train eval` of it is what transformers says."""
    turns = [[{"role": "user", "content": f"What is {i} plus {3 * i}?"},
              {"role": "assistant", "content": f"{i} plus {3 * i} is {4 * i}."}] for i in range(16)]
    (folder / "train.jsonl").write_text("".join(json.dumps({"messages": t}) + "\n" for t in turns))
    (folder / f"{model}.yaml").write_text(
        f"model: {{base: {model}}}\nrun: {{name: run-{model}}}\ndata: {{path: train.jsonl}}\n{quant}lora: {{r: 4}}\n"
        "train: {epochs: 2, per_device_batch_size: 4, learning_rate: 5e-3, threads: 1, bf16: false, "
        "gradient_checkpointing: true}\n")
    adapter = pathlib.Path(run("sft", "-c", f"{model}.yaml", folder=folder).strip())
    bits = ["--quant-bits", "4"] if quant else []
    ours = json.loads(run("eval", "--model", model, "--adapter", adapter, "--data", "train.jsonl", "--all-tokens",
                          "--json", "--bf16", "false", *bits, folder=folder))
    from transformers import PreTrainedTokenizerFast
    tokenizer = PreTrainedTokenizerFast.from_pretrained(adapter)
    tuned = PeftModel.from_pretrained(lora_sft.load(folder / model, quant={"double": True} if quant else None), adapter)
    loss, count = 0.0, 0
    for turn in turns:
        ids = tokenizer(tokenizer.apply_chat_template(turn, tokenize=False), add_special_tokens=False)["input_ids"]
        logits = lora_sft.logits(tuned.eval(), ids).double()
        loss += torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="sum").item()
        count += len(ids) - 1
    difference = abs(ours["loss"] / (loss / count) - 1)
    print(f"train sft on {model}: eval loss {ours['loss']:.5f}, peft's {loss / count:.5f}")
    assert ours["tokens"] == count and difference < (2e-3 if quant else 1e-5)


with tempfile.TemporaryDirectory() as temporary:
    root = pathlib.Path(temporary)
    make_models(root)
    for case in CASES:
        check_steps(case, root)
    check_run("model", "quant: {bits: 4}\n", root)
    check_run("nested", "", root)
