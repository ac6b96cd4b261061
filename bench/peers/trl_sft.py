#!/usr/bin/env python3
"""Peer: TRL SFTTrainer + PEFT LoRA on CPU. Prints one JSON record.

    python trl_sft.py --model DIR --data train.messages.jsonl [--dtype fp32|bf16] [--gc] [--packing] [--assistant-only]
"""
import harness  # first: its clock starts at process start, so imports are counted

import argparse
import os
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", required=True)
    ap.add_argument("--data", required=True)
    ap.add_argument("--rows", type=int, help="use only the first N conversations")
    ap.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    ap.add_argument("--gc", action="store_true", help="gradient checkpointing")
    ap.add_argument("--packing", action="store_true")
    ap.add_argument("--packing-strategy", default="bfd")
    ap.add_argument("--assistant-only", action="store_true")
    ap.add_argument("--sampling", choices=["sequential", "random"], default="sequential",
                    help="sequential: file order, so that plain_loop.py sees the very same batches")
    ap.add_argument("--attn", default="sdpa")
    ap.add_argument("--loss-type", help="SFTConfig.loss_type, where the version has it")
    ap.add_argument("--seq", type=int, default=256)
    ap.add_argument("--batch", type=int, default=4)
    ap.add_argument("--steps", type=int, default=10)
    ap.add_argument("--warmup", type=int, default=2, help="steps not counted in the medians")
    ap.add_argument("--quiet-steps", type=int, help="stop as soon as this many counted steps were undisturbed")
    ap.add_argument("--budget", type=float, help="stop after this many seconds of stepping (shared machine)")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--rank", type=int, default=16)
    ap.add_argument("--out")
    args = ap.parse_args()

    import torch
    torch.set_num_threads(args.threads)
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer
    imported = harness.since_start()

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[args.dtype]
    tok = AutoTokenizer.from_pretrained(args.model)
    if args.assistant_only:
        tok.chat_template = harness.GENERATION_TEMPLATE
    data = Dataset.from_list([{"messages": m} for m in harness.load_messages(args.data, args.rows)])
    extra = {"loss_type": args.loss_type} if args.loss_type else {}
    with tempfile.TemporaryDirectory() as out_dir:
        config = SFTConfig(
            output_dir=out_dir, max_length=args.seq, packing=args.packing, packing_strategy=args.packing_strategy,
            assistant_only_loss=args.assistant_only, per_device_train_batch_size=args.batch,
            gradient_accumulation_steps=1, gradient_checkpointing=args.gc, max_steps=args.steps, learning_rate=2e-4,
            lr_scheduler_type="cosine", bf16=args.dtype == "bf16", use_cpu=True, logging_steps=1, save_strategy="no",
            report_to="none", optim="adamw_torch", train_sampling_strategy=args.sampling, seed=0, disable_tqdm=True,
            model_init_kwargs={"dtype": dtype, "attn_implementation": args.attn}, **extra)
        lora = LoraConfig(r=args.rank, lora_alpha=2 * args.rank, lora_dropout=0.0, target_modules=harness.TARGETS,
                          task_type="CAUSAL_LM")
        trainer = SFTTrainer(model=args.model, args=config, train_dataset=data, processing_class=tok, peft_config=lora)
        built = harness.since_start()

        batches = []  # the trainer may fetch ahead: one entry per collated batch, in order
        collate = trainer.data_collator

        def counting(rows):
            batch = collate(rows)
            ids, mask = batch["input_ids"], batch.get("attention_mask")
            batches.append((int(mask.sum()) if mask is not None else ids.numel(), ids.numel(),
                            int((batch["labels"] != -100).sum())))
            return batch
        trainer.data_collator = counting

        meter, firsts = harness.Meter(), {}

        class Clock(TrainerCallback):
            def on_train_begin(self, *a, **k):
                meter.start()

            def on_step_end(self, targs, state, control, **k):  # from step end to step end: fetching is counted
                meter.stop()
                firsts.setdefault("first_step", harness.since_start())
                control.should_training_stop |= harness.enough(meter, args)
                meter.start()
        trainer.add_callback(Clock())
        trainer.train()

    losses = [r["loss"] for r in trainer.state.log_history if "loss" in r]
    all_samples, used = meter.samples, batches[args.warmup:len(meter.samples)]
    meter.samples = all_samples[args.warmup:]
    wall, cpu = sum(s[0] for s in meter.samples), sum(s[1] for s in meter.samples)
    tokens = sum(b[0] for b in used)
    harness.emit({
        "bench": "trl_sft", "dtype": args.dtype, "gc": args.gc, "packing": args.packing,
        "assistant_only": args.assistant_only, "sampling": args.sampling, "attn": args.attn, "loss_type": args.loss_type, "seq": args.seq,
        "batch": args.batch, "threads": args.threads, "rank": args.rank, "steps_counted": len(used),
        "step": meter.summary(), "tokens_per_s": tokens / wall, "tokens_per_cpu_s": tokens / cpu,
        "step_tokens_per_s": harness.stats(b[0] / s[0] for b, s in zip(used, meter.samples)),
        "padding": 1 - tokens / max(1, sum(b[1] for b in used)), "tokens_per_step": tokens / max(1, len(used)),
        "supervised_per_step": sum(b[2] for b in used) / max(1, len(used)),
        "imported_s": imported, "built_s": built, "first_step_s": firsts["first_step"],
        "peak_rss_mib": harness.peak_rss(), "losses": losses[:10],
        "samples": [[round(x, 3) for x in s] + [b[0], b[1]] for s, b in zip(all_samples, batches)],
        "versions": harness.versions("torch", "transformers", "peft", "trl", "accelerate", "datasets"),
    }, args.out)


if __name__ == "__main__":
    main()
