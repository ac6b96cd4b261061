"""What `train` leaves on disk, read by the programs it is for: peft loads the adapter and computes what we compute,
transformers reads the trainer's state, huggingface_hub reads the model card.

Bounds: logits within 1e-4 of the largest, losses within 1e-5 relative; two right implementations differ by a hundred
times less in float32.
"""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reference"))
try:
    import lora_sft
    import torch
    from huggingface_hub import ModelCard
    from peft import LoraConfig, PeftModel
    from safetensors import safe_open
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerState
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

BIN = pathlib.Path(os.environ["MAYFLY_BIN"])
TINY = pathlib.Path(__file__).parent.parent / "data" / "tiny"
CASES = {
    "all linear layers": {"lora": "{r: 8, alpha: 16, dropout: 0.05}", "targets": lora_sft.ALL_LINEAR, "r": 8,
                          "alpha": 16, "dropout": 0.05},
    "two targets, rslora, alpha that is no whole number": {
        "lora": "{r: 3, alpha: 4.5, use_rslora: true, target_modules: [v_proj, q_proj]}", "targets": ["q_proj", "v_proj"],
        "r": 3, "alpha": 4.5, "rslora": True},
    "dora": {"lora": "{r: 4, alpha: 8, use_dora: true, dropout: 0.1}", "targets": lora_sft.ALL_LINEAR, "r": 4, "alpha": 8,
             "dropout": 0.1, "dora": True},
}


def run(*words, folder):
    done = subprocess.run([BIN / "train", *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_model(folder):
    torch.manual_seed(3)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=400, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, rms_norm_eps=1e-5, tie_word_embeddings=True, initializer_range=0.2,
        bos_token_id=1, eos_token_id=2))
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((TINY / name).read_bytes())


def conversations(count):
    return [[{"role": "user", "content": f"What is {i} plus {3 * i}?"},
             {"role": "assistant", "content": f"{i} plus {3 * i} is {4 * i}."}] for i in range(count)]


def load_with_peft(base_dir, adapter_dir):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(lora_sft.load(base_dir), adapter_dir)
    about_us = [str(w.message) for w in said if "key" in str(w.message) or "adapter" in str(w.message)]
    assert not about_us, about_us
    return model.eval()


def our_logits(folder, adapter_dir, tokens):
    """Those that tests/oracle_sft/sft_steps.cpp writes before it trains: our own forward pass."""
    spec = {"model": str(folder / "model"), "adapter": str(adapter_dir), "bf16": False, "threads": 1,
            "learning_rate": 0.0, "warmup": 0, "weight_decay": 0.0, "max_grad_norm": 0.0,
            "steps": [[[{"tokens": tokens, "trained": [1] * len(tokens)}]]]}
    (folder / "spec.json").write_text(json.dumps(spec))
    subprocess.run([BIN / "sft_steps", folder / "spec.json", folder], check=True)
    return load_file(folder / "logits.safetensors")["before"]


def check_config(adapter_dir, case):
    ours = LoraConfig.from_pretrained(adapter_dir).to_dict()
    theirs = LoraConfig(r=case["r"], lora_alpha=case["alpha"], lora_dropout=case.get("dropout", 0.0), bias="none",
                        use_rslora=case.get("rslora", False), use_dora=case.get("dora", False),
                        target_modules=case["targets"], task_type="CAUSAL_LM",
                        inference_mode=True).to_dict()
    for key, value in theirs.items():
        if key in ("base_model_name_or_path", "peft_version"):
            continue
        mine = ours[key]
        if key == "target_modules":
            mine, value = sorted(mine), sorted(value)
        assert mine == value, (key, mine, value)
    written = json.loads((adapter_dir / "adapter_config.json").read_text())
    unknown = set(written) - set(theirs)
    assert not unknown, f"peft does not know {unknown}"
    with safe_open(adapter_dir / "adapter_model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert all(file.get_tensor(name).dtype == torch.float32 for name in file.keys())


def check_state(checkpoint):
    state = TrainerState.load_from_json(checkpoint / "trainer_state.json")
    assert (state.global_step, state.max_steps, state.epoch, state.num_train_epochs) == (12, 12, 2.0, 2)
    losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
    held_out = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
    assert len(losses) == 4 and len(held_out) == 2 and held_out[1] < held_out[0], state.log_history


def check_card(adapter_dir):
    card = ModelCard.load(adapter_dir / "README.md").data.to_dict()
    assert card["library_name"] == "peft" and card["pipeline_tag"] == "text-generation", card
    assert {"lora", "sft", "mayfly"} <= set(card["tags"]), card
    assert "base_model" not in card, "a local folder is no model of the hub"


def check(name, case, folder):
    make_model(folder / "model")
    lines = [json.dumps({"messages": c}) + "\n" for c in conversations(24)]
    (folder / "train.jsonl").write_text("".join(lines))
    (folder / "val.jsonl").write_text("".join(lines[:4]))
    (folder / "run.yaml").write_text(
        "model: {base: model}\nrun: {name: oracle}\ndata: {path: [train.jsonl], val_path: val.jsonl}\n"
        f"lora: {case['lora']}\n"
        "train: {epochs: 2, per_device_batch_size: 4, learning_rate: 5e-3, threads: 1, bf16: false, logging_steps: 3}\n")
    adapter = pathlib.Path(run("sft", "-c", "run.yaml", folder=folder).strip())
    checkpoint = adapter.parent / "checkpoints" / "checkpoint-12"
    check_config(adapter, case)
    check_state(checkpoint)
    check_card(adapter)

    tokenizer = PreTrainedTokenizerFast.from_pretrained(adapter)
    texts = [tokenizer.apply_chat_template(c, tokenize=False) for c in conversations(24)]
    tokens = [tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]
    tuned = load_with_peft(folder / "model", adapter)
    right, mine = lora_sft.logits(tuned, tokens[5]), our_logits(folder, adapter, tokens[5])
    base = lora_sft.logits(lora_sft.load(folder / "model"), tokens[5])
    difference = ((right - mine).abs().max() / right.abs().max()).item()
    learned = ((right - base).abs().max() / right.abs().max()).item()
    again = lora_sft.logits(load_with_peft(folder / "model", checkpoint), tokens[5])
    assert torch.equal(again, right), "a checkpoint of the last step is the adapter"

    # The loss over all tokens, as `train eval` prints it.
    loss, count = 0.0, 0
    for ids in tokens:
        logits = lora_sft.logits(tuned, ids).double()
        loss += torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="sum").item()
        count += len(ids) - 1
    ours = json.loads(run("eval", "--model", "model", "--adapter", adapter, "--data", "train.jsonl", "--all-tokens",
                          "--json", "--bf16", "false", folder=folder))
    assert ours["tokens"] == count, (ours, count)
    loss_difference = abs(ours["loss"] / (loss / count) - 1)

    prompt = tokenizer.apply_chat_template(conversations(6)[5][:1], tokenize=False, add_generation_prompt=True)
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
    said = tuned.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False,
                          pad_token_id=0, eos_token_id=2)
    text = tokenizer.decode(said[0, ids.shape[1]:], skip_special_tokens=True)
    answer = json.loads(run("generate", "--model", "model", "--adapter", adapter, "--prompt",
                            conversations(6)[5][0]["content"], "--max-new-tokens", 24, "--json", "--bf16", "false",
                            folder=folder))
    print(f"{name}: logits {difference:.1e} of 1e-4 (training moved them by {learned:.1e}), loss {loss_difference:.1e} "
          f"of 1e-5, answer {answer['text']!r}")
    assert difference < 1e-4 and loss_difference < 1e-5 and learned > 1e-2 and not math.isnan(difference)
    assert answer["text"] == text, (answer, text)


for case_name, settings in CASES.items():
    with tempfile.TemporaryDirectory() as temporary:
        check(case_name, settings, pathlib.Path(temporary))
