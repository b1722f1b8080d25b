"""Writes trained weights as GGUF pairs, f16 and Q8_0.

python -m recipe.export WEIGHTS OUT
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from numpy.typing import NDArray

from recipe.canvas import PATCH_PX
from recipe.checkpoint import load_parts
from recipe.model import Shape
from recipe.pixels import DEVIATION, MEAN
from recipe.tokenizer import SPECIAL, SYSTEM_PROMPT, Tokenizer

Array = NDArray[np.float32]
N_CTX = 4096
CHAT_TEMPLATE = (  # Source: Qwen2-VL's chat_template.json, with QVQ's system prompt
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    + SYSTEM_PROMPT
    + "<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}"
    "{{ message['content'] }}<|im_end|>\n{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def text_tensors(weights: dict[str, Array], shape: Shape) -> Iterator[tuple[str, Array]]:
    """llama.cpp's names for the decoder."""
    dim, kv = shape.dim, shape.n_kv_heads * shape.head_dim
    yield "token_embd.weight", weights["embedding.weight"]
    yield "output_norm.weight", weights["norm.weight"]
    for i in range(shape.n_layers):
        own, to = f"text_blocks.{i}.", f"blk.{i}."
        yield f"{to}attn_norm.weight", weights[f"{own}norm1.weight"]
        yield f"{to}ffn_norm.weight", weights[f"{own}norm2.weight"]
        for kind in ("weight", "bias"):
            q, k, v = np.split(weights[f"{own}qkv.{kind}"], [dim, dim + kv])
            yield f"{to}attn_q.{kind}", q
            yield f"{to}attn_k.{kind}", k
            yield f"{to}attn_v.{kind}", v
        yield f"{to}attn_output.weight", weights[f"{own}out.weight"]
        gate, up = np.split(weights[f"{own}gate_up.weight"], 2)
        yield f"{to}ffn_gate.weight", gate
        yield f"{to}ffn_up.weight", up
        yield f"{to}ffn_down.weight", weights[f"{own}down.weight"]


def vision_tensors(weights: dict[str, Array], shape: Shape) -> Iterator[tuple[str, Array]]:
    """llama.cpp's names for the vision tower and the merger."""
    kernel = weights["patch.weight"].reshape(shape.vision_dim, 3, PATCH_PX, PATCH_PX)
    # A still picture is fed as two equal frames: each temporal half carries half of the kernel.
    yield "v.patch_embd.weight", kernel / 2
    yield "v.patch_embd.weight.1", kernel / 2
    names = {"norm1": "ln1", "norm2": "ln2", "out": "attn_out", "up": "ffn_up", "down": "ffn_down"}
    for i in range(shape.vision_layers):
        own, to = f"vision_blocks.{i}.", f"v.blk.{i}."
        for kind in ("weight", "bias"):
            for ours, theirs in names.items():
                yield f"{to}{theirs}.{kind}", weights[f"{own}{ours}.{kind}"]
            for letter, part in zip("qkv", np.split(weights[f"{own}qkv.{kind}"], 3), strict=True):
                yield f"{to}attn_{letter}.{kind}", part
    for ours, theirs in (("merge_norm", "v.post_ln"), ("merge1", "mm.0"), ("merge2", "mm.2")):
        for kind in ("weight", "bias"):
            yield f"{theirs}.{kind}", weights[f"{ours}.{kind}"]


def _add(writer: GGUFWriter, name: str, tensor: Array, quantize: bool) -> None:
    """Vectors stay f32, the patch kernel f16; matrices are f16 or Q8_0."""
    tensor = np.ascontiguousarray(tensor, np.float32)
    if tensor.ndim == 1:
        writer.add_tensor(name, tensor)
    elif not quantize or tensor.shape[-1] % 32:
        writer.add_tensor(name, tensor.astype(np.float16))
    else:
        data = gguf.quants.quantize(tensor, GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, data, raw_dtype=GGMLQuantizationType.Q8_0)


def _finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _file_type(quantize: bool) -> LlamaFileType:
    return LlamaFileType.MOSTLY_Q8_0 if quantize else LlamaFileType.MOSTLY_F16


def write_model(
    path: Path, weights: dict[str, Array], shape: Shape, tokenizer: Tokenizer, quantize: bool
) -> None:
    """The text model, arch qwen2vl, with its vocabulary."""
    w = GGUFWriter(path, "qwen2vl")
    w.add_name("nano")
    w.add_type("model")
    w.add_file_type(_file_type(quantize))
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    w.add_context_length(N_CTX)
    w.add_embedding_length(shape.dim)
    w.add_block_count(shape.n_layers)
    w.add_feed_forward_length(shape.ffn)
    w.add_head_count(shape.n_heads)
    w.add_head_count_kv(shape.n_kv_heads)
    w.add_layer_norm_rms_eps(shape.rms_eps)
    w.add_rope_freq_base(shape.rope_base)
    w.add_rope_dimension_sections([*shape.sections, 0])
    _add_vocabulary(w, tokenizer)
    w.add_chat_template(CHAT_TEMPLATE)
    for name, tensor in text_tensors(weights, shape):
        _add(w, name, tensor, quantize)
    _finish(w)


def _add_vocabulary(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    n_pad = tokenizer.n_vocab - len(tokenizer.pieces) - len(SPECIAL)
    names = [*tokenizer.pieces, *SPECIAL, *(f"[PAD{i}]" for i in range(n_pad))]
    kinds = (
        [TokenType.NORMAL] * len(tokenizer.pieces)
        + [TokenType.CONTROL] * len(SPECIAL)
        + [TokenType.UNUSED] * n_pad
    )
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(m) for m in tokenizer.merges])
    writer.add_eos_token_id(tokenizer.end)
    writer.add_pad_token_id(tokenizer.special["<|endoftext|>"])
    writer.add_bos_token_id(tokenizer.special["<|endoftext|>"])
    writer.add_add_bos_token(False)


def write_mmproj(path: Path, weights: dict[str, Array], shape: Shape, quantize: bool) -> None:
    """The vision tower, projector qwen2vl_merger."""
    w = GGUFWriter(path, "clip")
    w.add_name("nano")
    w.add_type("mmproj")
    w.add_file_type(_file_type(quantize))
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    w.add_clip_has_vision_encoder(True)
    w.add_clip_projector_type("qwen2vl_merger")
    w.add_vision_projection_dim(shape.dim)
    w.add_vision_image_size(560)
    w.add_vision_patch_size(PATCH_PX)
    w.add_vision_embedding_length(shape.vision_dim)
    w.add_vision_feed_forward_length(shape.vision_ffn)
    w.add_vision_block_count(shape.vision_layers)
    w.add_vision_head_count(shape.vision_heads)
    w.add_vision_image_mean(list(MEAN))
    w.add_vision_image_std(list(DEVIATION))
    w.add_vision_attention_layernorm_eps(1e-6)
    for name, tensor in vision_tensors(weights, shape):
        _add(w, name, tensor, quantize)
    _finish(w)


def export(folder: Path, out: Path, shape: Shape, tokenizer: Tokenizer) -> None:
    """Both pairs: nano-{f16,q8_0}.gguf and mmproj-nano-{f16,q8_0}.gguf."""
    out.mkdir(parents=True, exist_ok=True)
    weights = {k: v.numpy() for k, v in load_parts(folder).items()}
    for quant, quantize in (("f16", False), ("q8_0", True)):
        write_model(out / f"nano-{quant}.gguf", weights, shape, tokenizer, quantize)
        write_mmproj(out / f"mmproj-nano-{quant}.gguf", weights, shape, quantize)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tiny", action="store_true", help="the weights are of `train --tiny`")
    args = parser.parse_args()
    tokenizer = Tokenizer.load()
    shape = Shape(tokenizer.n_vocab)
    if args.tiny:
        shape = Shape(tokenizer.n_vocab, n_layers=2, vision_layers=2)
    export(args.weights, args.out, shape, tokenizer)
    for path in sorted(args.out.glob("*.gguf")):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
