"""What LoRA SFT is, in as few lines of torch, transformers and peft as it takes: the reference that
the trainer is held against, step by step.

loss       sum of the cross entropies of the step's trained tokens, in float32, divided by their number
           over all micro-batches
optimiser  AdamW(betas 0.9 0.999, eps 1e-8), or SGD or Muon with their momentum, after clipping to max_grad_norm
lr(step)   from step 0: rate * step / warmup while step < warmup, then rate * (1 + cos(pi * x)) / 2 with
           x = (step - warmup) / (steps - warmup); with "decay" in the spec, transformers' get_wsd_schedule
Documents are padded on the right; no dropout; eager attention; one thread.
"""
import math
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, get_wsd_schedule

ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def load(model_dir, dtype=torch.float32, quant=None):
    """`quant` {"double"}: the linear layers in bitsandbytes' NF4. A folder that is quantised is read as it is."""
    options = {}
    if quant is not None:
        options = {"device_map": {"": "cpu"}, "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=quant["double"],
            bnb_4bit_compute_dtype=dtype)}
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=dtype, attn_implementation="eager", **options)
    for module in model.modules():  # else bitsandbytes packs weights once more on some CPUs, and computes in bfloat16
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    model.config.use_cache = False
    return model


def new_adapter(model_dir, adapter_dir, rank, alpha, b_std, seed=0, targets=ALL_LINEAR, rslora=False, dora=False):
    """Writes a fresh adapter. b_std > 0: B is not zero, so that A has gradients from the first step."""
    torch.manual_seed(seed)
    model = get_peft_model(load(model_dir), LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=list(targets), use_rslora=rslora, use_dora=dora,
        task_type="CAUSAL_LM"))
    for name, parameter in sorted(model.named_parameters()):
        if "lora_B" in name and b_std:
            torch.nn.init.normal_(parameter, std=b_std)
    model.save_pretrained(adapter_dir)


def padded(documents):
    width = max(len(d["tokens"]) for d in documents)
    ids = torch.zeros(len(documents), width, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, document in enumerate(documents):
        n = len(document["tokens"])
        ids[row, :n] = torch.tensor(document["tokens"])
        mask[row, :n] = 1
        labels[row, :n] = torch.where(torch.tensor(document["trained"]) > 0, ids[row, :n], -100)
    return ids, mask, labels


def logits(model, tokens):
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens])).logits[0].float()


def file_name(parameter):
    """What peft calls a parameter in an adapter's file."""
    return parameter.replace(".default", "").replace("magnitude_vector.weight", "magnitude_vector")


def gradients(model, document):
    """Of the summed loss of one document, by the names of an adapter's file."""
    ids, mask, labels = padded([document])
    out = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    torch.nn.functional.cross_entropy(
        out.reshape(-1, out.shape[-1]).float(), labels[:, 1:].reshape(-1), reduction="sum").backward()
    found = {file_name(n): p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    return found


def train(spec, threads=1, nudge=0.0):
    """Trains as the spec of tests/oracle_sft/sft_steps.cpp says; returns (steps, model, logits before).

    nudge: the adapter begins so far off, as a share of each number: what float32 may differ by anyway."""
    torch.set_num_threads(threads)
    model = PeftModel.from_pretrained(load(spec["model"], quant=spec.get("quant")), spec["adapter"], is_trainable=True)
    model.train()
    first = spec["steps"][0][0][0]["tokens"]
    before = logits(model, first)
    parameters = [p for p in model.parameters() if p.requires_grad]
    for p in parameters:
        p.data *= 1 + nudge * torch.randn(p.shape, generator=torch.Generator().manual_seed(3))
    optimizer = {"adamw": torch.optim.AdamW, "sgd": lambda p, **rest: torch.optim.SGD(p, momentum=0.9, **rest),
                 "muon": lambda p, **rest: torch.optim.Muon(p, adjust_lr_fn="match_rms_adamw", **rest),
                 }[spec.get("optimizer", "adamw")](parameters, lr=0.0, weight_decay=spec["weight_decay"])
    steps, warmup, done = len(spec["steps"]), spec["warmup"], []
    schedule = lambda step: step / warmup if step < warmup else 0.5 * (
        1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
    if "decay" in spec:
        schedule = get_wsd_schedule(torch.optim.SGD(parameters), num_warmup_steps=warmup, num_training_steps=steps,
                                    num_decay_steps=spec["decay"]).lr_lambdas[0]
    for step, micro_batches in enumerate(spec["steps"]):
        inputs = [padded(documents) for documents in micro_batches]
        supervised = sum(int((labels[:, 1:] != -100).sum()) for _, _, labels in inputs)
        loss = 0.0
        for ids, mask, labels in inputs:
            out = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
            part = torch.nn.functional.cross_entropy(
                out.reshape(-1, out.shape[-1]).float(), labels[:, 1:].reshape(-1), reduction="sum") / supervised
            part.backward()
            loss += part.item()
        norm = torch.nn.utils.clip_grad_norm_(parameters, spec["max_grad_norm"] or math.inf).item()
        rate = spec["learning_rate"] * schedule(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        done.append({"loss": loss, "grad_norm": norm, "learning_rate": rate, "supervised": supervised})
    return done, model, before
