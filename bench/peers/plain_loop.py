#!/usr/bin/env python3
"""Peer: the leanest loop a user could write with transformers + PEFT (no Trainer). Prints one JSON record.

    python plain_loop.py --model DIR --data train.messages.jsonl [--dtype fp32|bf16] [--gc] [--packing]
                         [--assistant-only] [--quant nf4] [--compile] [--profile FILE]
"""
import harness  # first: its clock starts at process start

import argparse
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def encode(tok, conversations, seq, assistant_only):
    rows = []
    for messages in conversations:
        if assistant_only:
            enc = tok.apply_chat_template(messages, chat_template=harness.GENERATION_TEMPLATE, return_dict=True,
                                          return_assistant_tokens_mask=True)
            ids = enc["input_ids"][:seq]
            labels = [t if m else -100 for t, m in zip(ids, enc["assistant_masks"][:seq])]
        else:
            ids = tok.apply_chat_template(messages, return_dict=True)["input_ids"][:seq]
            labels = list(ids)
        if any(x != -100 for x in labels):
            rows.append((ids, labels))
    return rows


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", required=True)
    ap.add_argument("--data", required=True)
    ap.add_argument("--rows", type=int)
    ap.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    ap.add_argument("--adapter-dtype", choices=["fp32", "same"], default="fp32",
                    help="fp32: adapter in fp32 under autocast (what Trainer+PEFT do); same: adapter in --dtype, no autocast")
    ap.add_argument("--quant", choices=["nf4"], help="bitsandbytes 4-bit base")
    ap.add_argument("--gc", action="store_true")
    ap.add_argument("--packing", action="store_true", help="rows of exactly --seq tokens, plain concatenation")
    ap.add_argument("--assistant-only", action="store_true")
    ap.add_argument("--attn", default="sdpa")
    ap.add_argument("--compile", action="store_true")
    ap.add_argument("--profile", help="write the op table of two further steps to this file")
    ap.add_argument("--seq", type=int, default=256)
    ap.add_argument("--batch", type=int, default=4)
    ap.add_argument("--steps", type=int, default=10)
    ap.add_argument("--warmup", type=int, default=2)
    ap.add_argument("--quiet-steps", type=int, help="stop as soon as this many counted steps were undisturbed")
    ap.add_argument("--budget", type=float, help="stop after this many seconds of stepping (shared machine)")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--rank", type=int, default=16)
    ap.add_argument("--out")
    args = ap.parse_args()

    import torch
    torch.set_num_threads(args.threads)
    from contextlib import nullcontext
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer
    imported = harness.since_start()

    torch.manual_seed(0)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[args.dtype]
    tok = AutoTokenizer.from_pretrained(args.model)
    need = args.batch * (args.steps + 2) * (4 if args.packing else 1)
    rows = encode(tok, harness.load_messages(args.data, args.rows or need), args.seq if not args.packing else 1 << 30,
                  args.assistant_only)
    if args.packing:
        ids = [t for r in rows for t in r[0]]
        labels = [t for r in rows for t in r[1]]
        rows = [(ids[i:i + args.seq], labels[i:i + args.seq]) for i in range(0, len(ids) - args.seq + 1, args.seq)]

    kwargs = {}
    if args.quant:
        from transformers import BitsAndBytesConfig
        kwargs["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype, attn_implementation=args.attn, **kwargs)
    model.config.use_cache = False
    loaded = harness.since_start()
    rss_loaded = harness.rss()
    model = get_peft_model(model, LoraConfig(r=args.rank, lora_alpha=2 * args.rank, lora_dropout=0.0,
                                             target_modules=harness.TARGETS, task_type="CAUSAL_LM"),
                           autocast_adapter_dtype=args.adapter_dtype == "fp32")
    if args.gc:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    model.train()
    params = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(params, lr=2e-4, weight_decay=0.0)
    run = torch.compile(model) if args.compile else model
    autocast = (torch.autocast("cpu", torch.bfloat16) if args.dtype == "bf16" and args.adapter_dtype == "fp32"
                else nullcontext())

    def batch_at(i):
        part = rows[i * args.batch:(i + 1) * args.batch]
        width = max(len(r[0]) for r in part)
        ids = torch.full((len(part), width), tok.pad_token_id)
        labels = torch.full((len(part), width), -100)
        mask = torch.zeros((len(part), width), dtype=torch.long)
        for j, (x, y) in enumerate(part):
            ids[j, :len(x)], labels[j, :len(x)], mask[j, :len(x)] = torch.tensor(x), torch.tensor(y), 1
        return ids, mask, labels

    def step(i):
        ids, mask, labels = batch_at(i)
        with autocast:
            loss = run(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        return loss.item(), int(mask.sum()), ids.numel(), int((labels != -100).sum())

    meter, done, first = harness.Meter(), [], None
    for i in range(args.steps):
        meter.start()
        done.append(step(i))
        meter.stop()
        first = first or harness.since_start()
        if harness.enough(meter, args):
            break
    peak = harness.peak_rss()

    if args.profile:
        from torch.profiler import ProfilerActivity, profile
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof:
            for i in range(2):
                step(args.steps - 1 - i)
        with open(args.profile, "w") as f:
            f.write(prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=40, max_name_column_width=60))
            f.write("\n")
            f.write(prof.key_averages(group_by_input_shape=True).table(
                sort_by="self_cpu_time_total", row_limit=45, max_name_column_width=60, max_shapes_column_width=80))

    all_samples = meter.samples
    meter.samples, used = all_samples[args.warmup:], done[args.warmup:len(all_samples)]
    wall, cpu, tokens = sum(s[0] for s in meter.samples), sum(s[1] for s in meter.samples), sum(d[1] for d in used)
    harness.emit({
        "bench": "plain_loop", "dtype": args.dtype, "adapter_dtype": args.adapter_dtype, "quant": args.quant,
        "gc": args.gc, "packing": args.packing, "assistant_only": args.assistant_only, "attn": args.attn,
        "compile": args.compile, "seq": args.seq, "batch": args.batch, "threads": args.threads, "rank": args.rank,
        "trainable": sum(p.numel() for p in params), "steps_counted": len(used), "step": meter.summary(),
        "tokens_per_s": tokens / wall, "tokens_per_cpu_s": tokens / cpu,
        "step_tokens_per_s": harness.stats(d[1] / s[0] for d, s in zip(used, meter.samples)),
        "padding": 1 - tokens / max(1, sum(d[2] for d in used)), "tokens_per_step": tokens / max(1, len(used)),
        "supervised_per_step": sum(d[3] for d in used) / max(1, len(used)),
        "imported_s": imported, "loaded_s": loaded, "first_step_s": first, "rss_loaded_mib": rss_loaded,
        "peak_rss_mib": peak, "losses": [d[0] for d in done][:10],
        "samples": [[round(x, 3) for x in s] + [d[1], d[2]] for s, d in zip(all_samples, done)],
        "versions": harness.versions("torch", "transformers", "peft", "bitsandbytes"),
    }, args.out)


if __name__ == "__main__":
    main()
