"""The same steps as device_step by torch, transformers and peft (QLoRA: bitsandbytes), on a GPU: what ./dev gpu sets ours
against.  python3 peer_step.py MODEL TOKENS STEPS lora|qlora   prints one JSON line; exit code 77 where something is missing.
"""
import json
import sys
import time

try:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM
    if not torch.cuda.is_available():
        raise ImportError("torch sees no GPU")
except ImportError as missing:
    print(missing, file=sys.stderr)
    sys.exit(77)

SHAPES = {"smollm2": dict(hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
                          intermediate_size=1536, vocab_size=49152, tie_word_embeddings=True)}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
DOCUMENT = 2048


def quantise(model):
    import bitsandbytes
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if name in TARGETS:
                four = bitsandbytes.nn.Linear4bit(child.in_features, child.out_features, bias=False,
                                                  compute_dtype=torch.bfloat16, quant_type="nf4")
                four.weight = bitsandbytes.nn.Params4bit(child.weight.data, requires_grad=False, quant_type="nf4")
                setattr(module, name, four.cuda())


def main(name, tokens, steps, form):
    torch.manual_seed(1)
    with torch.device("cuda"):
        model = LlamaForCausalLM(LlamaConfig(max_position_embeddings=DOCUMENT, use_cache=False, **SHAPES[name]))
    model = model.to(torch.bfloat16)
    if form == "qlora":
        quantise(model)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS, task_type="CAUSAL_LM"))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)
    ids = torch.randint(0, SHAPES[name]["vocab_size"], (tokens // DOCUMENT, DOCUMENT), device="cuda")
    began = None
    for step in range(-2, steps):
        if step == 0:
            torch.cuda.synchronize()
            began = time.perf_counter()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.cuda.synchronize()
    rate = tokens * steps / (time.perf_counter() - began)
    print(json.dumps({"model": name, "tokens": tokens, "form": form, "tokens_s": round(rate, 1), "loss": loss.item(),
                      "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2)}))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
