"""`train merge` against peft's merge_and_unload: the same bits in every tensor, and a folder that transformers loads
with the logits of base and adapter together. Models of one file and of shards, bf16 and float32, tied and untied.

Bounds: weights equal bit for bit where one rounding is the last thing done (float32 sums of 8 products may be added
in another order: 1e-6 of the largest); logits within 1e-4 of the largest.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reference"))
try:
    import lora_sft
    import torch
    import transformers
    from peft import PeftModel
    from safetensors.torch import load_file
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

BIN = pathlib.Path(os.environ["MAYFLY_BIN"])
TINY = pathlib.Path(__file__).parent.parent / "data" / "tiny"
TOKENS = [5, 17, 300, 42, 9, 1, 250, 33]
WIDTHS = {torch.bfloat16: "bf16", torch.float32: "fp32"}
CASES = {
    "llama, tied, float32": ("Llama", dict(tie_word_embeddings=True), torch.float32, {}),
    "llama, untied, bf16, rslora": ("Llama", dict(tie_word_embeddings=False), torch.bfloat16, {"rslora": True}),
    "qwen2, biases, two targets": ("Qwen2", {}, torch.float32, {"targets": ["q_proj", "down_proj"]}),
    "llama, dora": ("Llama", dict(tie_word_embeddings=True), torch.float32, {"dora": True}),
    "phi3, fused projections": ("Phi3", dict(pad_token_id=0), torch.float32,
                                {"targets": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]}),
}


def run(*words):
    return subprocess.run([BIN / "train", *map(str, words)], capture_output=True, text=True)


def make_model(folder, name, settings, dtype):
    torch.manual_seed(3)
    made = dict(vocab_size=400, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4,
                num_key_value_heads=2, rms_norm_eps=1e-5, initializer_range=0.2, bos_token_id=1, eos_token_id=2) | settings
    model = getattr(transformers, name + "ForCausalLM")(getattr(transformers, name + "Config")(**made))
    model.to(dtype).save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).write_bytes((TINY / file).read_bytes())


def weights_of(folder):
    files = sorted(folder.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def check(name, folder):
    kind, settings, stored, adapter = CASES[name]
    base, tuned = folder / "model", folder / "adapter"
    make_model(base, kind, settings, stored)
    lora_sft.new_adapter(base, tuned, rank=8, alpha=20.0, b_std=0.2, seed=4, **adapter)
    for dtype, width in WIDTHS.items():
        out = folder / f"merged-{width}"
        done = run("merge", "--model", base, "--adapter", tuned, "--out", out, "--dtype", width,
                   "--max-shard-gb", 1e-4 if width == "bf16" else 5, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        # In float32, rounded last: a base that is loaded in bf16 would be rounded before the sum as well.
        right = PeftModel.from_pretrained(lora_sft.load(base), tuned).merge_and_unload()
        expected = {n: t.to(dtype) for n, t in right.state_dict().items()}
        got = weights_of(out)
        assert set(got) <= set(expected) and told["tensors"] == len(got), set(got) ^ set(expected)
        assert set(expected) - set(got) <= {"lm_head.weight"}, set(expected) - set(got)
        worst = 0.0
        for n, tensor in got.items():
            assert tensor.dtype == dtype, (n, tensor.dtype)
            if dtype == torch.bfloat16 or not torch.equal(tensor, expected[n]):
                # A sum that falls beside a rounding's edge may go to either neighbour: 2^-8 of the value.
                off = ((tensor.float() - expected[n].float()).abs() / (expected[n].float().abs() + 1e-3)).max().item()
                worst = max(worst, off)
        assert worst <= (2 ** -7 if dtype == torch.bfloat16 else 1e-5), (name, width, worst)

        files = sorted(p.name for p in out.iterdir())
        assert ("model.safetensors.index.json" in files) == (width == "bf16") == (told["shards"] > 1), files
        assert {"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"} <= set(files), files
        loaded = transformers.AutoModelForCausalLM.from_pretrained(out, attn_implementation="eager")
        assert loaded.dtype == dtype, loaded.dtype
        mine = lora_sft.logits(loaded, TOKENS)
        # Base and adapter apart; of bf16 what peft merged and rounded, both computed in float32.
        apart = PeftModel.from_pretrained(lora_sft.load(base), tuned)
        if dtype == torch.bfloat16:
            right.load_state_dict({n: t.float() for n, t in expected.items()})
            apart, mine = right, lora_sft.logits(lora_sft.load(out), TOKENS)
        both = lora_sft.logits(apart.eval(), TOKENS)
        plain = lora_sft.logits(lora_sft.load(base), TOKENS)
        off = ((mine - both).abs().max() / both.abs().max()).item()
        moved = ((plain - both).abs().max() / both.abs().max()).item()
        print(f"{name}, {width}: {told['shards']} shards, weights {worst:.1e}, logits {off:.1e}, adapter moved {moved:.2f}")
        assert off < 1e-4 and moved > 0.1, (off, moved)
        again = run("merge", "--model", base, "--adapter", tuned, "--out", out)
        assert again.returncode == 2 and "is there already" in again.stderr, again


for case_name in CASES:
    with tempfile.TemporaryDirectory() as temporary:
        check(case_name, pathlib.Path(temporary))
