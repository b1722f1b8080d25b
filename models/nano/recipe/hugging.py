"""The same weights in transformers' Qwen2-VL, to prove that the architecture is QVQ's.

Needs transformers, which nothing else of the project does.
"""

import torch
from torch import Tensor
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

from recipe.canvas import PATCH_PX
from recipe.model import Shape
from recipe.tokenizer import Tokenizer


def to_transformers(
    weights: dict[str, Tensor], shape: Shape, tokenizer: Tokenizer
) -> Qwen2VLForConditionalGeneration:
    """Build the reference model and load our weights into it."""
    special = tokenizer.special
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": shape.n_vocab, "hidden_size": shape.dim, "intermediate_size": shape.ffn,
            "num_hidden_layers": shape.n_layers, "num_attention_heads": shape.n_heads,
            "num_key_value_heads": shape.n_kv_heads, "rms_norm_eps": shape.rms_eps,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": shape.rope_base,
                "mrope_section": list(shape.sections),
            },
        },
        vision_config={
            "depth": shape.vision_layers, "embed_dim": shape.vision_dim,
            "num_heads": shape.vision_heads,
            "mlp_ratio": shape.vision_ffn // shape.vision_dim, "hidden_size": shape.dim,
            "patch_size": PATCH_PX,
        },
        image_token_id=special["<|image_pad|>"], video_token_id=special["<|video_pad|>"],
        vision_start_token_id=special["<|vision_start|>"],
        vision_end_token_id=special["<|vision_end|>"],
        tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen2VLForConditionalGeneration(config).float().eval()
    model.load_state_dict(_rename(weights, shape), strict=False)
    model.tie_weights()
    return model


def _rename(weights: dict[str, Tensor], shape: Shape) -> dict[str, Tensor]:
    """transformers' names; the still picture's kernel is halved over the two frames."""
    named: dict[str, Tensor] = {}
    kernel = weights["patch.weight"].view(shape.vision_dim, 3, 1, PATCH_PX, PATCH_PX)
    named["model.visual.patch_embed.proj.weight"] = (kernel / 2).repeat(1, 1, 2, 1, 1)
    vision = {
        "norm1": "norm1",
        "norm2": "norm2",
        "qkv": "attn.qkv",
        "out": "attn.proj",
        "up": "mlp.fc1",
        "down": "mlp.fc2",
    }
    for kind in ("weight", "bias"):
        for i in range(shape.vision_layers):
            for ours, theirs in vision.items():
                named[f"model.visual.blocks.{i}.{theirs}.{kind}"] = weights[
                    f"vision_blocks.{i}.{ours}.{kind}"
                ]
        for ours, theirs in (("merge_norm", "ln_q"), ("merge1", "mlp.0"), ("merge2", "mlp.2")):
            named[f"model.visual.merger.{theirs}.{kind}"] = weights[f"{ours}.{kind}"]
    text = "model.language_model."
    named[f"{text}embed_tokens.weight"] = weights["embedding.weight"]
    named[f"{text}norm.weight"] = weights["norm.weight"]
    kv = shape.n_kv_heads * shape.head_dim
    for i in range(shape.n_layers):
        own, to = f"text_blocks.{i}.", f"{text}layers.{i}."
        named[f"{to}input_layernorm.weight"] = weights[f"{own}norm1.weight"]
        named[f"{to}post_attention_layernorm.weight"] = weights[f"{own}norm2.weight"]
        for kind in ("weight", "bias"):
            for letter, part in zip(
                "qkv", weights[f"{own}qkv.{kind}"].split([shape.dim, kv, kv]), strict=True
            ):
                named[f"{to}self_attn.{letter}_proj.{kind}"] = part
        named[f"{to}self_attn.o_proj.weight"] = weights[f"{own}out.weight"]
        gate, up = weights[f"{own}gate_up.weight"].chunk(2)
        named[f"{to}mlp.gate_proj.weight"], named[f"{to}mlp.up_proj.weight"] = gate, up
        named[f"{to}mlp.down_proj.weight"] = weights[f"{own}down.weight"]
    return named


def patches_for_transformers(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised (1, 3, height, width) to pixel_values and image_grid_thw in reference order."""
    _, _, height, width = pixels.shape
    h, w = height // 28, width // 28
    frames = torch.stack([pixels[0], pixels[0]])  # a still picture twice
    x = frames.view(1, 2, 3, h, 2, PATCH_PX, w, 2, PATCH_PX).permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
    return x.reshape(4 * h * w, -1), torch.tensor([[1, 2 * h, 2 * w]])
