"""Each family of core/model/family.cpp against transformers and peft, on tiny random models: logits, losses, the
gradient of every adapter tensor, the adapter after some steps, and the text that follows; some rows in NF4 too.

Bounds, in float32: losses within 1e-4 relative; gradients, adapter weights and logits within 1e-4, 1e-3 and 1e-4 of
each tensor's largest value; the greedy text the same. What two right implementations differ by is a hundred times less.

So that a pass means something, each row is computed again with its own feature taken away from our copy of the model
(no bias, no window, no multiplier): the logits must then be further off than FAULT.
"""
import copy
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
    import transformers
    from peft import PeftModel
    from safetensors.torch import load_file, save_file
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

BIN = pathlib.Path(os.environ["MAYFLY_BIN"])
VOCABULARY, STEPS, NEW_TOKENS = 96, 6, 10
LOSS, GRADIENT, WEIGHT, LOGIT, FAULT = 1e-4, 1e-4, 1e-3, 1e-4, 1e-2
WINDOW = 20  # shorter than the first document of every row
GEMMA = dict(head_dim=32, query_pre_attn_scalar=40, sliding_window=WINDOW)
# A head of these models has 16 elements, of which 12 turn.
LONGROPE = {"rope_type": "longrope", "rope_theta": 100.0, "partial_rotary_factor": 0.75,
            "short_factor": [1.0, 1.1, 1.3, 1.6, 2.0, 2.5], "long_factor": [1.5, 2.0, 3.0, 4.5, 6.0, 8.0]}
YARN = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "beta_fast": 4.0, "original_max_position_embeddings": 64}
TARGETS = {"phi3": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
           "nanochat": ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]}


def tensors(change):
    """A fault in the weights: change(name, tensor) gives what our copy has instead."""
    def break_copy(folder):
        path = folder / "model.safetensors"
        save_file({n: change(n, t).contiguous() for n, t in load_file(path).items()}, path, metadata={"format": "pt"})
    return break_copy


def config(**changes):
    """A fault in what config.json says."""
    def break_copy(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return break_copy


without_biases = tensors(lambda name, t: torch.zeros_like(t) if name.endswith(".bias") else t)


def rope(*kind, **changes):
    """A fault in the rope, or in one of two."""
    def break_copy(folder):
        path = folder / "config.json"
        read = json.loads(path.read_text())
        for settings in [read["rope_parameters"][k] for k in kind] or [read["rope_parameters"]]:
            settings |= changes
        path.write_text(json.dumps(read))
    return break_copy


def one_plus_norms(part):
    """What a weight of the plain kind would be: the 1 is forgotten."""
    return tensors(lambda name, t: t - 1 if part in name else t)


def plain_norms(part):
    return tensors(lambda name, t: torch.ones_like(t) if part in name else t)


def halves_swapped(part):
    return tensors(lambda name, t: torch.cat(t.chunk(2)[::-1]) if part in name else t)


# (family, what is set) -> class, its settings, what is broken in our copy. "quant": NF4 with plain scales as well.
ROWS = {
    ("llama", "biases everywhere"): ("Llama", dict(attention_bias=True, mlp_bias=True), [without_biases]),
    ("qwen2", "biases, untied"): ("Qwen2", dict(tie_word_embeddings=False, quant=True), [without_biases]),
    ("qwen2", "biases, tied"): ("Qwen2", dict(tie_word_embeddings=True), [without_biases]),
    ("qwen2", "a window from layer 1 on"): (
        "Qwen2", dict(use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1),
        [config(use_sliding_window=False, layer_types=None)]),
    ("qwen3", "norms of each head, head width 32"): (
        "Qwen3", dict(head_dim=32, quant=True), [plain_norms("q_norm"), plain_norms("k_norm")]),
    ("qwen3", "biases, tied, head width 24"): ("Qwen3", dict(head_dim=24, attention_bias=True, tie_word_embeddings=True), [without_biases]),
    ("mistral", "a window"): ("Mistral", dict(sliding_window=WINDOW), [config(sliding_window=None)]),
    ("mistral", "no window, head width 24"): ("Mistral", dict(sliding_window=None, head_dim=24), [config(sliding_window=WINDOW)]),
    ("smollm3", "layers without a rope by interval"): (
        "SmolLM3", dict(no_rope_layer_interval=2), [config(no_rope_layers=[1, 1, 1])]),
    ("smollm3", "by list, with a window, biases"): (
        "SmolLM3", dict(no_rope_layers=[0, 1, 1], use_sliding_window=True, sliding_window=WINDOW, attention_bias=True,
                        mlp_bias=True, tie_word_embeddings=False),
        [config(no_rope_layers=[1, 1, 1]), config(use_sliding_window=False, layer_types=None), without_biases]),
    ("granite", "all four multipliers"): (
        "Granite", dict(embedding_multiplier=6.0, residual_multiplier=0.3, attention_multiplier=0.1, logits_scaling=4.0),
        [config(embedding_multiplier=1.0), config(residual_multiplier=1.0), config(attention_multiplier=0.25),
         config(logits_scaling=1.0)]),
    ("granite", "biases, tied"): (
        "Granite", dict(embedding_multiplier=3.0, attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
        [without_biases]),
    ("phi3", "fused projections"): ("Phi3", dict(quant=True), [halves_swapped("gate_up_proj"), halves_swapped("qkv_proj")]),
    ("phi3", "a window"): ("Phi3", dict(sliding_window=WINDOW), [config(sliding_window=None)]),
    # transformers takes the long divisors for a whole batch when its longest row is longer than the original positions,
    # we for each document: so all documents of a row of this table are on one side.
    ("phi3", "longrope in long texts, three quarters of a head turn"): (
        "Phi3", dict(rope_parameters=LONGROPE, max_position_embeddings=128, original_max_position_embeddings=WINDOW, least=2 * WINDOW),
        [rope(long_factor=LONGROPE["short_factor"]), rope(attention_factor=1.0),
         rope(partial_rotary_factor=0.5, short_factor=[1.0] * 4, long_factor=LONGROPE["long_factor"][:4])]),
    ("phi3", "longrope in short texts, old keys"): (
        "Phi3", dict(max_position_embeddings=512, original_max_position_embeddings=128, old_keys=dict(
            rope_theta=100.0, partial_rotary_factor=0.75, rope_scaling={
                "type": "longrope", "short_factor": LONGROPE["short_factor"], "long_factor": LONGROPE["long_factor"]})),
        [config(original_max_position_embeddings=WINDOW), config(max_position_embeddings=128), config(rope_theta=1000.0)]),
    ("qwen2", "yarn"): (
        "Qwen2", dict(rope_parameters=YARN),
        [rope(rope_type="default"), rope(factor=2.0), rope(beta_fast=32.0), rope(beta_slow=0.1), rope(attention_factor=1.0)]),
    ("nanochat", "norms without weights, no gate"): (
        "NanoChat", dict(rope_parameters={"rope_type": "default", "rope_theta": 100.0}, quant=True),
        [config(final_logit_softcapping=2.0), rope(rope_theta=1000.0)]),
    ("nanochat", "biases, tied, no cap"): (
        "NanoChat", dict(attention_bias=True, tie_word_embeddings=True, final_logit_softcapping=None),
        [without_biases, config(final_logit_softcapping=2.0)]),
    ("olmo2", "norms behind, of whole projections"): (
        "Olmo2", dict(quant=True), [plain_norms(part) for part in ("q_norm", "k_norm", "post_attention_layernorm",
                                                                   "post_feedforward_layernorm")]),
    ("olmo2", "biases, tied"): ("Olmo2", dict(attention_bias=True, tie_word_embeddings=True), [without_biases]),
    ("gemma2", "tied, windows in turn, both caps"): (
        "Gemma2", GEMMA | dict(attn_logit_softcapping=3.0, final_logit_softcapping=6.0, quant=True),
        [config(attn_logit_softcapping=None), config(final_logit_softcapping=None), config(query_pre_attn_scalar=24),
         config(layer_types=["full_attention"] * 3), config(layer_types=["sliding_attention"] * 3),
         *map(one_plus_norms, ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                               "post_feedforward_layernorm", "model.norm"))]),
    ("gemma2", "no caps, by the list, biases, untied"): (
        "Gemma2", GEMMA | dict(attn_logit_softcapping=None, final_logit_softcapping=None, attention_bias=True,
                               tie_word_embeddings=False,
                               layer_types=["full_attention", "sliding_attention", "full_attention"]),
        [config(attn_logit_softcapping=3.0), config(final_logit_softcapping=6.0), config(layer_types=None),
         without_biases]),
    ("gemma3_text", "tied, two ropes, one scaled, windows by pattern"): (
        "Gemma3Text", GEMMA | dict(sliding_window_pattern=2, quant=True, rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 100.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0}}),
        [config(rope_parameters=None), rope("full_attention", factor=1.0), rope("sliding_attention", rope_theta=100.0),
         config(layer_types=["full_attention"] * 3), one_plus_norms("q_norm"), one_plus_norms("k_norm")]),
    ("gemma3_text", "logits capped, old keys"): (
        "Gemma3Text", GEMMA | dict(final_logit_softcapping=6.0, old_keys=dict(
            rope_theta=500.0, rope_local_base_freq=50.0, rope_scaling={"rope_type": "linear", "factor": 4.0},
            sliding_window_pattern=3)),
        [config(final_logit_softcapping=None), config(rope_theta=50.0), config(rope_local_base_freq=500.0),
         config(rope_scaling=None), config(sliding_window_pattern=2)]),
}


def old_form(folder, keys):
    """config.json with these keys in place of what transformers 5 writes of ropes and layers."""
    path = folder / "config.json"
    read = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("rope_parameters", "layer_types")}
    path.write_text(json.dumps(read | keys))


def tiny_model(folder, name, settings):
    torch.manual_seed(1)
    settings, old = {k: v for k, v in settings.items() if k != "old_keys"}, settings.get("old_keys", {})
    made = dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=192, num_hidden_layers=3,
                num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, initializer_range=0.15,
                pad_token_id=0, bos_token_id=1, eos_token_id=2) | {k: v for k, v in settings.items() if k not in ("quant", "least")}
    model = getattr(transformers, name.removesuffix("Text") + "ForCausalLM")(
        getattr(transformers, name + "Config")(**made, **copy.deepcopy(old)))
    for parameter_name, parameter in model.named_parameters():
        if "norm" in parameter_name:
            torch.nn.init.uniform_(parameter, *((-0.5, 0.5) if "Gemma" in name else (0.5, 1.5)))
        elif parameter_name.endswith(".bias"):
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(folder)
    if old:
        old_form(folder, old)


def random_steps(least):
    draw = random.Random(7)
    def document(least):
        n = draw.randint(least, 70)
        return {"tokens": [draw.randrange(VOCABULARY) for _ in range(n)],
                "trained": [int(draw.random() < 0.6) for _ in range(n - 1)] + [1]}
    return [[[document(2 * WINDOW), document(least), document(least)]] for _ in range(STEPS)]


def ours(spec, folder):
    folder.mkdir(exist_ok=True)
    (folder / "spec.json").write_text(json.dumps(spec))
    subprocess.run([BIN / "sft_steps", folder / "spec.json", folder], check=True)
    return folder


def reference(spec):
    base = lora_sft.load(spec["model"], quant=spec.get("quant"))
    return PeftModel.from_pretrained(base, spec["adapter"], is_trainable=True)


def difference(got, right):
    return ((got - right).abs().max() / right.abs().max()).item()


def largest_difference(got, right):
    assert sorted(got) == sorted(right), f"other tensors than peft's: {sorted(set(got) ^ set(right))}"
    return max(difference(got[n], right[n]) for n in right)


def greedy(model, tokens):
    text = list(tokens)
    for _ in range(NEW_TOKENS):
        text.append(int(lora_sft.logits(model, text)[-1].argmax()))
    return text[len(tokens):]


def check(title, spec, folder):
    first = spec["steps"][0][0][0]
    out = ours(spec, folder)
    steps, logits = json.loads((out / "steps.json").read_text()), load_file(out / "logits.safetensors")
    right = lora_sft.gradients(reference(spec), first)
    gradient = largest_difference(load_file(out / "gradients.safetensors"), right)
    theirs, model, before = lora_sft.train(spec)
    assert len(steps) == len(theirs) == STEPS
    loss = max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(steps, theirs))
    weights = {n.replace(".default", ""): p.detach() for n, p in model.named_parameters() if p.requires_grad}
    weight = largest_difference(load_file(out / "adapter_model.safetensors"), weights)
    model.eval()
    logit = max(difference(logits["before"], before), difference(logits["after"], lora_sft.logits(model, first["tokens"])))
    print(f"{title}: logits {logit:.1e} of {LOGIT:.0e}, loss {loss:.1e} of {LOSS:.0e}, gradients {gradient:.1e} of "
          f"{GRADIENT:.0e}, weights {weight:.1e} of {WEIGHT:.0e}; loss {theirs[0]['loss']:.3f} -> "
          f"{theirs[-1]['loss']:.3f}", flush=True)
    assert loss < LOSS and gradient < GRADIENT and weight < WEIGHT and logit < LOGIT
    assert min(g.abs().max().item() for g in right.values()) > 0
    return logits["before"]


def check_row(family, settings_name, row, folder):
    name, settings, faults = row
    model, adapter = folder / "model", folder / "adapter"
    tiny_model(model, name, settings)
    assert json.loads((model / "config.json").read_text())["model_type"] == family
    lora_sft.new_adapter(model, adapter, rank=4, alpha=8, b_std=0.1,
                         targets=TARGETS.get(family, lora_sft.ALL_LINEAR))
    spec = {"model": str(model), "adapter": str(adapter), "bf16": False, "threads": 1, "learning_rate": 5e-3,
            "warmup": 2, "weight_decay": 0.01, "max_grad_norm": 1.0, "generate": NEW_TOKENS, "steps": random_steps(settings.get("least", 2))}
    title = f"{family}, {settings_name}"
    right = check(title, spec, folder / "out")
    text = json.loads((folder / "out" / "generated.json").read_text())
    assert text == greedy(reference(spec).eval(), spec["steps"][0][0][0]["tokens"]), "another greedy text"
    if settings.get("quant"):
        check(f"{title}, NF4", spec | {"quant": {"double": False}}, folder / "quant")
    for i, fault in enumerate(faults):
        broken = copy.deepcopy(spec) | {"model": str(folder / f"broken{i}"), "steps": spec["steps"][:1]}
        subprocess.run(["cp", "-r", model, broken["model"]], check=True)
        fault(pathlib.Path(broken["model"]))
        off = difference(load_file(ours(broken, folder / f"out{i}") / "logits.safetensors")["before"], right)
        print(f"  with fault {i + 1} of {len(faults)}: logits {off:.1e}", flush=True)
        assert off > FAULT, "the comparison cannot fail"


wanted = sys.argv[1:]
for (family, settings_name), row in ROWS.items():
    if wanted and family not in wanted:
        continue
    with tempfile.TemporaryDirectory() as temporary:
        check_row(family, settings_name, row, pathlib.Path(temporary))
