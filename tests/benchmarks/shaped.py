"""A GGUF pair with the exact shapes of Qwen2-VL-2B and weights of no meaning, to time engines by.

The text model is quantized as Q4_K_M quantizes, the mmproj is f16. Its words are noise, but not
its course: row t + 1 of the output matrix is row t of the embedding, so greedy decoding counts
through the vocabulary. That never loops (a program that notices loops would stop it), prints one
word per token and ends: the answer is ANSWER_TOKENS long.

usage: python tests/benchmarks/shaped.py       (writes 2.5 GB into .bench/, once)
"""

from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
import numpy.typing as npt
from peers import BENCH_DIR, get_peers

Array = npt.NDArray[Any]
Quant = gguf.GGMLQuantizationType

# Qwen/Qwen2-VL-2B-Instruct, config.json.
D_MODEL, N_LAYERS, N_HEADS, N_KV_HEADS, D_HEAD, D_FFN, N_VOCAB = 1536, 28, 12, 2, 128, 8960, 151936
D_VISION, N_VISION_LAYERS, N_VISION_HEADS, D_VISION_FFN, PATCH_PX = 1280, 32, 16, 5120, 14
ENDOFTEXT, IM_END, FIRST_VISION_TOKEN = 151643, 151645, 151646
VISION_TOKENS = (
    *("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>"),
    *("<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
# Stretches of the vocabulary that hold words, no control characters: the reply counts through the
# first from the prompt's final newline on, through the second after the heading of the answer.
REASONING_FROM, ANSWER_FROM, ANSWER_TOKENS = 10000, 20000, 64
PROMPT_END, HEADING_END = "Ċ", "**ĊĊ"
SYSTEM = (
    "You are a helpful and harmless assistant. You are Qwen developed by Alibaba. "
    "You should think step-by-step."
)
TEMPLATE = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\n"
    + SYSTEM
    + "<|im_end|>\n{% endif %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Pair(NamedTuple):
    """Paths of the two GGUF files of one model."""

    model: Path
    mmproj: Path


class Noise:
    """Quantized matrices cut from one pool of random bytes: drawing each anew takes minutes."""

    def __init__(self, seed: int = 0) -> None:
        self._pool = np.random.default_rng(seed).integers(0, 256, 1 << 24, dtype=np.uint8)

    def q4_k(self, rows: int, columns: int) -> Array:
        """Blocks of 256 weights: scale, minimum (f16), 12 bytes of sub-scales, 128 of nibbles."""
        blocks = self._bytes(rows * columns // 256, 144)
        blocks[:, 0:2] = np.frombuffer(np.float16(6.2e-5).tobytes(), np.uint8)
        blocks[:, 2:4] = np.frombuffer(np.float16(7.5 * 6.2e-5).tobytes(), np.uint8)
        return blocks.reshape(rows, -1)

    def q6_k(self, rows: int, columns: int, scale: float = 6.2e-5) -> Array:
        """Blocks of 256 weights: 192 bytes of six bits each, 16 sub-scales (int8), scale (f16)."""
        blocks = self._bytes(rows * columns // 256, 210)
        blocks[:, 208:210] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
        return blocks.reshape(rows, -1)

    def f16(self, *shape: int) -> Array:
        values = self._pool.astype(np.float16) - np.float16(127.5)
        return np.resize(values * np.float16(2e-4), shape)

    def _bytes(self, n_blocks: int, block_bytes: int) -> Array:
        return np.resize(self._pool, (n_blocks, block_bytes))


def write_text(path: Path, vocab: Path) -> None:
    """The text model: arch qwen2vl, the tokenizer of `vocab` with Qwen2-VL's tokens added."""
    writer = gguf.GGUFWriter(path, "qwen2vl")
    writer.add_name("shaped-2b")
    writer.add_context_length(32768)
    writer.add_embedding_length(D_MODEL)
    writer.add_block_count(N_LAYERS)
    writer.add_feed_forward_length(D_FFN)
    writer.add_head_count(N_HEADS)
    writer.add_head_count_kv(N_KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_rope_dimension_sections([16, 24, 24, 0])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    tokens = _add_tokenizer(writer, vocab)
    _add_vocabulary_tensors(writer, Noise(), tokens)
    _add_block_tensors(writer, Noise(2))
    _finish(writer)


def _add_tokenizer(writer: gguf.GGUFWriter, vocab: Path) -> list[str]:
    fields = gguf.GGUFReader(vocab).fields
    tokens = list(fields["tokenizer.ggml.tokens"].contents())[:FIRST_VISION_TOKEN]
    kinds = list(fields["tokenizer.ggml.token_type"].contents())[:FIRST_VISION_TOKEN]
    tokens += VISION_TOKENS
    kinds += [gguf.TokenType.CONTROL] * len(VISION_TOKENS)
    tokens += [f"[PAD{i}]" for i in range(len(tokens), N_VOCAB)]
    kinds += [gguf.TokenType.UNUSED] * (N_VOCAB - len(kinds))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(fields["tokenizer.ggml.merges"].contents())
    writer.add_bos_token_id(ENDOFTEXT)
    writer.add_eos_token_id(IM_END)
    writer.add_pad_token_id(ENDOFTEXT)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    return tokens


def _add_vocabulary_tensors(writer: gguf.GGUFWriter, noise: Noise, tokens: list[str]) -> None:
    """Embedding and output matrix, the second so that each token is followed by the next one."""
    # The large scale lets the embedding outweigh what the blocks add to it.
    embedding = noise.q6_k(N_VOCAB, D_MODEL, scale=0.05)
    following = np.roll(embedding, 1, axis=0)
    for token, successor in (
        (tokens.index(PROMPT_END), REASONING_FROM),
        (tokens.index(HEADING_END), ANSWER_FROM),
        (ANSWER_FROM + ANSWER_TOKENS - 1, IM_END),
    ):
        following[[token + 1, successor]] = following[[successor, token + 1]]
    writer.add_tensor("token_embd.weight", embedding, raw_dtype=Quant.Q6_K)
    writer.add_tensor("output.weight", following, raw_dtype=Quant.Q6_K)
    writer.add_tensor("output_norm.weight", np.ones(D_MODEL, np.float32))


def _add_block_tensors(writer: gguf.GGUFWriter, noise: Noise) -> None:
    d_kv = N_KV_HEADS * D_HEAD
    for layer in range(N_LAYERS):
        block = f"blk.{layer}."
        # Q4_K_M gives every other attn_v and ffn_down six bits (llama.cpp, src/llama-quant.cpp).
        fine = layer % 2 == 1
        for name, rows, columns, six_bits in (
            ("attn_q", D_MODEL, D_MODEL, False),
            ("attn_k", d_kv, D_MODEL, False),
            ("attn_v", d_kv, D_MODEL, fine),
            ("attn_output", D_MODEL, D_MODEL, False),
            ("ffn_gate", D_FFN, D_MODEL, False),
            ("ffn_up", D_FFN, D_MODEL, False),
            ("ffn_down", D_MODEL, D_FFN, fine),
        ):
            blocks = noise.q6_k(rows, columns) if six_bits else noise.q4_k(rows, columns)
            quant = Quant.Q6_K if six_bits else Quant.Q4_K
            writer.add_tensor(f"{block}{name}.weight", blocks, raw_dtype=quant)
        for name, size in (("attn_q", D_MODEL), ("attn_k", d_kv), ("attn_v", d_kv)):
            writer.add_tensor(f"{block}{name}.bias", np.zeros(size, np.float32))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}{name}.weight", np.ones(D_MODEL, np.float32))


def write_vision(path: Path) -> None:
    """The mmproj: a ViT of 665 M weights and its 2x2 merger, f16."""
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("qwen2vl_merger")
    writer.add_vision_projection_dim(D_MODEL)
    writer.add_vision_image_size(560)
    writer.add_vision_patch_size(PATCH_PX)
    writer.add_vision_embedding_length(D_VISION)
    writer.add_vision_feed_forward_length(D_VISION_FFN)
    writer.add_vision_block_count(N_VISION_LAYERS)
    writer.add_vision_head_count(N_VISION_HEADS)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_image_mean([0.48145466, 0.4578275, 0.40821073])
    writer.add_vision_image_std([0.26862954, 0.26130258, 0.27577711])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    noise = Noise(1)

    def add_linear(name: str, rows: int, columns: int) -> None:
        writer.add_tensor(f"{name}.weight", noise.f16(rows, columns))
        writer.add_tensor(f"{name}.bias", np.zeros(rows, np.float32))

    def add_norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(D_VISION, np.float32))
        writer.add_tensor(f"{name}.bias", np.zeros(D_VISION, np.float32))

    for half in ("v.patch_embd.weight", "v.patch_embd.weight.1"):
        writer.add_tensor(half, noise.f16(D_VISION, 3, PATCH_PX, PATCH_PX))
    for layer in range(N_VISION_LAYERS):
        block = f"v.blk.{layer}."
        for name in ("ln1", "ln2"):
            add_norm(block + name)
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            add_linear(block + name, D_VISION, D_VISION)
        add_linear(block + "ffn_up", D_VISION_FFN, D_VISION)
        add_linear(block + "ffn_down", D_VISION, D_VISION_FFN)
    add_norm("v.post_ln")
    add_linear("mm.0", 4 * D_VISION, 4 * D_VISION)
    add_linear("mm.2", D_MODEL, 4 * D_VISION)
    _finish(writer)


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def get_shaped_2b(llama_cpp_source: Path, bench_dir: Path = BENCH_DIR) -> Pair:
    """The pair, written first where it is missing (under another name until it is whole)."""
    pair = Pair(bench_dir / "shaped-2b-q4_k_m.gguf", bench_dir / "mmproj-shaped-2b-f16.gguf")
    if not pair.model.exists():
        part = pair.model.with_suffix(".part")
        write_text(part, llama_cpp_source / "models" / "ggml-vocab-qwen2.gguf")
        part.replace(pair.model)
    if not pair.mmproj.exists():
        part = pair.mmproj.with_suffix(".part")
        write_vision(part)
        part.replace(pair.mmproj)
    return pair


if __name__ == "__main__":
    print(*get_shaped_2b(get_peers().source), sep="\n")
