"""Tiny random decoders of many architectures, built from their configurations; nothing is fetched."""

from __future__ import annotations

import torch
from transformers import AutoConfig, AutoModelForCausalLM

SIZE = {
    "vocab_size": 199, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
    "initializer_range": 0.15, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
ALTERNATE = ["sliding_attention", "full_attention"] * 2
MOE = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 48, "decoder_sparse_step": 1}
LINEAR = {
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16,
    "linear_value_head_dim": 16, "linear_conv_kernel_dim": 4,
    "layer_types": ["linear_attention", "full_attention"] * 2, "head_dim": 32,
}  # fmt: skip
GPT = {
    "n_embd": 64, "n_layer": 4, "n_head": 4, "n_positions": 256, "n_inner": 96, "vocab_size": 199,
    "initializer_range": 0.15, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip

# name: (model type, changes to SIZE)
ZOO = {
    "llama (GQA)": ("llama", {}),
    "llama-2 (MHA)": ("llama", {"num_key_value_heads": 4}),
    "llama-3.1 (scaled RoPE)": ("llama", {"rope_parameters": {
        "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 64}}),
    "qwen2 (qkv bias)": ("qwen2", {}),
    "qwen2 (sliding upper layers)": ("qwen2", {
        "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2}),
    "qwen3 (QK-norm, wide heads)": ("qwen3", {"head_dim": 32}),
    "qwen3-moe": ("qwen3_moe", {"head_dim": 32, **MOE}),
    "qwen2-moe (shared expert)": ("qwen2_moe", {**MOE, "shared_expert_intermediate_size": 48}),
    "qwen3-next (linear + gated)": ("qwen3_next", {**LINEAR, **MOE, "shared_expert_intermediate_size": 48}),
    "qwen3.5 (linear + gated)": ("qwen3_5_text", LINEAR),
    "mistral (window 8)": ("mistral", {"sliding_window": 8}),
    "ministral-3": ("ministral3", {"head_dim": 16}),
    "mixtral": ("mixtral", {"num_local_experts": 8, "num_experts_per_tok": 2}),
    "gemma": ("gemma", {"head_dim": 32, "num_key_value_heads": 1}),
    "gemma2 (softcap, post-norms)": ("gemma2", {
        "head_dim": 32, "sliding_window": 8, "query_pre_attn_scalar": 32, "layer_types": ALTERNATE,
        "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0}),
    "gemma3 (MQA, QK-norm, two RoPEs)": ("gemma3_text", {
        "head_dim": 32, "num_key_value_heads": 1, "sliding_window": 8, "query_pre_attn_scalar": 32,
        "layer_types": ALTERNATE}),
    "gemma3n (AltUp, shared KV)": ("gemma3n_text", {
        "head_dim": 32, "sliding_window": 8, "layer_types": ALTERNATE, "num_kv_shared_layers": 2,
        "vocab_size_per_layer_input": 199, "hidden_size_per_layer_input": 16, "laurel_rank": 8,
        "intermediate_size": [96] * 4, "activation_sparsity_pattern": [0.0] * 4}),
    "gemma4 (shared KV, per-layer input)": ("gemma4_text", {
        "head_dim": 16, "global_head_dim": 32, "sliding_window": 8, "layer_types": ALTERNATE,
        "num_kv_shared_layers": 2, "vocab_size_per_layer_input": 199, "hidden_size_per_layer_input": 16}),
    "phi-2 (parallel, partial RoPE)": ("phi", {"partial_rotary_factor": 0.5}),
    "phi-3 (fused qkv)": ("phi3", {"sliding_window": 8}),
    "olmo": ("olmo", {}),
    "olmo-2 (post-norm, QK-norm)": ("olmo2", {}),
    "olmo-3": ("olmo3", {"sliding_window": 8, "layer_types": ALTERNATE}),
    "granite (multipliers)": ("granite", {
        "residual_multiplier": 0.3, "embedding_multiplier": 5.0, "logits_scaling": 4.0,
        "attention_multiplier": 0.2}),
    "granite-moe": ("granitemoe", {"num_local_experts": 8, "num_experts_per_tok": 2, "logits_scaling": 4.0}),
    "smollm3 (NoPE)": ("smollm3", {"no_rope_layers": [1, 0, 1, 0]}),
    "gpt-oss (sinks, MoE)": ("gpt_oss", {
        "head_dim": 16, "sliding_window": 8, "layer_types": ALTERNATE, "num_local_experts": 8,
        "num_experts_per_tok": 2}),
    "deepseek-v3 (MLA)": ("deepseek_v3", {
        "num_key_value_heads": 4, "q_lora_rank": 24, "kv_lora_rank": 16, "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8, "v_head_dim": 12, "n_routed_experts": 8, "n_group": 2, "topk_group": 1,
        "num_experts_per_tok": 2, "moe_intermediate_size": 48, "first_k_dense_replace": 1}),
    "cohere (parallel, logit scale)": ("cohere", {"logit_scale": 0.3}),
    "cohere2": ("cohere2", {"sliding_window": 8, "layer_types": ALTERNATE}),
    "stablelm": ("stablelm", {"partial_rotary_factor": 0.5}),
    "starcoder2": ("starcoder2", {"sliding_window": 8}),
    "nemotron": ("nemotron", {}),
    "glm4": ("glm4", {"head_dim": 16}),
    "exaone4": ("exaone4", {"sliding_window": 8, "layer_types": ALTERNATE}),
    "seed-oss": ("seed_oss", {"head_dim": 16}),
    "apertus": ("apertus", {}),
    "lfm2 (convolutions)": ("lfm2", {"layer_types": ["conv", "full_attention"] * 2}),
    "llama4 (chunked, NoPE, MoE)": ("llama4_text", {
        "head_dim": 16, "intermediate_size_mlp": 96, "num_local_experts": 4, "attention_chunk_size": 8,
        "no_rope_layers": [1, 1, 1, 0]}),
    "falcon-h1 (hybrid)": ("falcon_h1", {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16,
        "mamba_d_state": 16, "mamba_n_groups": 1, "mamba_chunk_size": 8}),
    "gpt2": ("gpt2", GPT),
    "gpt-neox (parallel)": ("gpt_neox", {"use_parallel_residual": True, "num_key_value_heads": 4}),
    "gpt-j": ("gptj", {**GPT, "rotary_dim": 8}),
    "gpt-neo": ("gpt_neo", {
        "num_layers": 4, "num_heads": 4, "attention_types": [[["global", "local"], 2]], "window_size": 8}),
    "gpt-bigcode (MQA)": ("gpt_bigcode", GPT),
    "opt": ("opt", {"ffn_dim": 96, "word_embed_proj_dim": 64}),
    "bloom (ALiBi)": ("bloom", {"n_layer": 4, "n_head": 4}),
    "falcon": ("falcon", {}),
    "mpt": ("mpt", {"d_model": 64, "n_heads": 4, "n_layers": 4, "expansion_ratio": 2, "max_seq_len": 256}),
}  # fmt: skip
ONLY_OWN = {"gpt2", "gptj", "gpt_bigcode"}


_NO_SUM = {"attention_write": "is not its input plus attention plus MLP"}
_NO_PROJECTION = {"mlp_out": "no one projection"}

# Which seams a model has not, and why.
WITHOUT = {name: _NO_PROJECTION for name, (_, own) in ZOO.items() if any("expert" in key for key in own)} | {
    "gemma3n (AltUp, shared KV)": _NO_SUM,
    "gemma4 (shared KV, per-layer input)": _NO_SUM,
    "falcon-h1 (hybrid)": _NO_SUM,
    "opt": {"mlp": "no module of its own"} | _NO_PROJECTION,
}


def build(name, *, seed=0, dtype=torch.float32, **changes):
    """Return a tiny random model; norms, biases and routers are random too, so that nothing is trivial."""
    kind, own = ZOO[name]
    config = AutoConfig.for_model(kind, **{**({} if kind in ONLY_OWN else SIZE), **own, **changes})
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    chance = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if value.ndim == 1:  # norms, biases, sinks
                value.add_(0.2 * torch.randn(value.shape, generator=chance))
            elif "router" in key or key.endswith("gate.weight"):
                value.copy_(torch.randn(value.shape, generator=chance) * 0.3)
    return model.to(dtype).eval().requires_grad_(requires_grad=False)
