"""GGUF pairs with the exact shapes of Qwen2-VL and weights of no meaning, to time engines by.

The text model is quantized as Q4_K_M quantizes, the mmproj is f16. Its words are noise, but not
its course: row t + 1 of the output matrix is row t of the embedding, so greedy decoding counts
through the vocabulary. That never loops (a program that notices loops would stop it), prints one
word per token and ends: the answer is ANSWER_TOKENS long.

All but the vocabulary's matrices repeats one stretch of random bytes, which several threads write
at once: 47 GB in well under a minute, where memory takes the files.

usage: python tests/benchmarks/shaped.py [2b|7b|72b]       (writes 2.5, 6 or 49 GB into .bench/)
           [--vocab FILE] [--into FOLDER]
"""

import argparse
import itertools
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
import numpy.typing as npt
import psutil
from peers import BENCH_DIR, get_peers

Array = npt.NDArray[Any]
Quant = gguf.GGMLQuantizationType


class Shape(NamedTuple):
    """A text model's sizes; its vision half is the same for all."""

    name: str
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_ffn: int
    n_vocab: int


# Qwen/Qwen2-VL-{2B,7B,72B}-Instruct, config.json; QVQ-72B-Preview has the last one's.
SHAPES = {
    "2b": Shape("2b", 1536, 28, 12, 2, 8960, 151936),
    "7b": Shape("7b", 3584, 28, 28, 4, 18944, 152064),
    "72b": Shape("72b", 8192, 80, 64, 8, 29568, 152064),
}
D_HEAD = 128
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
N_WRITERS = min(4, os.cpu_count() or 1)
LEAST_FREE_BYTES, PATIENCE_S = 3 << 30, 20.0


class Pair(NamedTuple):
    """Paths of the two GGUF files of one model."""

    model: Path
    mmproj: Path


class Tensor(NamedTuple):
    """content: its bytes, or the beginning of them, which then goes on being repeated."""

    name: str
    shape: tuple[int, ...]
    quant: Quant
    content: Array

    @property
    def n_bytes(self) -> int:
        block, block_bytes = gguf.GGML_QUANT_SIZES[self.quant]
        return int(np.prod(self.shape)) // block * block_bytes


class Noise:
    """Quantized weights cut from one pool of random bytes: drawing each anew takes minutes."""

    def __init__(self, seed: int = 0) -> None:
        self._pool = np.random.default_rng(seed).integers(0, 256, 1 << 24, dtype=np.uint8)
        self._patterns: dict[Quant, Array] = {}

    def matrix(self, name: str, rows: int, columns: int, quant: Quant) -> Tensor:
        """Weights that repeat themselves after some millions."""
        if quant not in self._patterns:
            make = {
                Quant.Q4_K: self._q4_k,
                Quant.Q6_K: self.q6_k,
                Quant.Q5_0: self._q5_0,
                Quant.Q8_0: self._q8_0,
                Quant.F16: self._f16,
            }[quant]
            self._patterns[quant] = make(1 << 16)
        return Tensor(name, (rows, columns), quant, self._patterns[quant])

    def q6_k(self, n_blocks: int, scale: float = 6.2e-5) -> Array:
        """Blocks of 256 weights: 192 bytes of six bits each, 16 sub-scales (int8), scale (f16)."""
        blocks = self._bytes(n_blocks, 210)
        blocks[:, 208:210] = _f16_bytes(scale)
        return blocks

    def _q4_k(self, n_blocks: int) -> Array:
        """Blocks of 256 weights: scale, minimum (f16), 12 bytes of sub-scales, 128 of nibbles."""
        blocks = self._bytes(n_blocks, 144)
        blocks[:, 0:2] = _f16_bytes(6.2e-5)
        blocks[:, 2:4] = _f16_bytes(7.5 * 6.2e-5)
        return blocks

    def _q5_0(self, n_blocks: int) -> Array:
        """Blocks of 32 weights: scale (f16), 4 bytes of fifth bits, 16 of nibbles."""
        blocks = self._bytes(n_blocks, 22)
        blocks[:, 0:2] = _f16_bytes(1.1e-3)
        return blocks

    def _q8_0(self, n_blocks: int) -> Array:
        """Blocks of 32 weights: scale (f16), 32 bytes of eight bits each."""
        blocks = self._bytes(n_blocks, 34)
        blocks[:, 0:2] = _f16_bytes(1.4e-4)
        return blocks

    def _f16(self, n_weights: int) -> Array:
        values = self._pool[:n_weights].astype(np.float16) - np.float16(127.5)
        return values * np.float16(2e-4)

    def _bytes(self, n_blocks: int, block_bytes: int) -> Array:
        return np.resize(self._pool, (n_blocks, block_bytes))


def _f16_bytes(value: float) -> Array:
    return np.frombuffer(np.float16(value).tobytes(), np.uint8)


def write_text(path: Path, vocab: Path, shape: Shape) -> None:
    """The text model: arch qwen2vl, the tokenizer of `vocab` with Qwen2-VL's tokens added."""
    writer = gguf.GGUFWriter(path, "qwen2vl")
    writer.add_name(f"shaped-{shape.name}")
    writer.add_context_length(32768)
    writer.add_embedding_length(shape.d_model)
    writer.add_block_count(shape.n_layers)
    writer.add_feed_forward_length(shape.d_ffn)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_rope_dimension_sections([16, 24, 24, 0])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    tokens = _add_tokenizer(writer, vocab, shape.n_vocab)
    _write(writer, path, [*_vocabulary_tensors(tokens, shape), *_block_tensors(shape)])


def _add_tokenizer(writer: gguf.GGUFWriter, vocab: Path, n_vocab: int) -> list[str]:
    fields = gguf.GGUFReader(vocab).fields
    tokens = list(fields["tokenizer.ggml.tokens"].contents())[:FIRST_VISION_TOKEN]
    kinds = list(fields["tokenizer.ggml.token_type"].contents())[:FIRST_VISION_TOKEN]
    tokens += VISION_TOKENS
    kinds += [gguf.TokenType.CONTROL] * len(VISION_TOKENS)
    tokens += [f"[PAD{i}]" for i in range(len(tokens), n_vocab)]
    kinds += [gguf.TokenType.UNUSED] * (n_vocab - len(kinds))
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


def _vocabulary_tensors(tokens: list[str], shape: Shape) -> Iterator[Tensor]:
    """Embedding and output matrix, the second so that each token is followed by the next one."""
    # The large scale lets the embedding outweigh what the blocks add to it.
    n_weights = shape.n_vocab * shape.d_model
    embedding = Noise().q6_k(n_weights // 256, scale=0.05).reshape(shape.n_vocab, -1)
    following = np.roll(embedding, 1, axis=0)
    for token, successor in (
        (tokens.index(PROMPT_END), REASONING_FROM),
        (tokens.index(HEADING_END), ANSWER_FROM),
        (ANSWER_FROM + ANSWER_TOKENS - 1, IM_END),
    ):
        following[[token + 1, successor]] = following[[successor, token + 1]]
    size = (shape.n_vocab, shape.d_model)
    yield Tensor("token_embd.weight", size, Quant.Q6_K, embedding)
    yield Tensor("output.weight", size, Quant.Q6_K, following)
    yield _constant("output_norm.weight", shape.d_model, 1.0)


def _block_tensors(shape: Shape) -> Iterator[Tensor]:
    noise, d_model, d_kv, d_ffn = Noise(2), shape.d_model, shape.n_kv_heads * D_HEAD, shape.d_ffn
    for layer in range(shape.n_layers):
        block = f"blk.{layer}."
        # Q4_K_M gives every other attn_v and ffn_down six bits (llama.cpp, src/llama-quant.cpp).
        fine = layer % 2 == 1
        for name, rows, columns, six_bits in (
            ("attn_q", d_model, d_model, False),
            ("attn_k", d_kv, d_model, False),
            ("attn_v", d_kv, d_model, fine),
            ("attn_output", d_model, d_model, False),
            ("ffn_gate", d_ffn, d_model, False),
            ("ffn_up", d_ffn, d_model, False),
            ("ffn_down", d_model, d_ffn, fine),
        ):
            quant = Quant.Q6_K if six_bits else Quant.Q4_K
            if columns % 256:  # what it takes then: the 72B's ffn_down has rows of 29,568
                quant = Quant.Q8_0 if six_bits else Quant.Q5_0
            yield noise.matrix(f"{block}{name}.weight", rows, columns, quant)
        for name, size in (("attn_q", d_model), ("attn_k", d_kv), ("attn_v", d_kv)):
            yield _constant(f"{block}{name}.bias", size, 0.0)
        for name in ("attn_norm", "ffn_norm"):
            yield _constant(f"{block}{name}.weight", d_model, 1.0)


def write_vision(path: Path, d_model: int) -> None:
    """The mmproj: a ViT of 665 M weights and its 2x2 merger, f16."""
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("qwen2vl_merger")
    writer.add_vision_projection_dim(d_model)
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
    _write(writer, path, list(_vision_tensors(d_model)))


def _vision_tensors(d_model: int) -> Iterator[Tensor]:
    noise = Noise(1)

    def linear(name: str, rows: int, columns: int) -> Iterator[Tensor]:
        yield noise.matrix(f"{name}.weight", rows, columns, Quant.F16)
        yield _constant(f"{name}.bias", rows, 0.0)

    def norm(name: str) -> Iterator[Tensor]:
        yield _constant(f"{name}.weight", D_VISION, 1.0)
        yield _constant(f"{name}.bias", D_VISION, 0.0)

    for half in ("v.patch_embd.weight", "v.patch_embd.weight.1"):
        patches = noise.matrix(half, D_VISION, 3 * PATCH_PX**2, Quant.F16)
        yield patches._replace(shape=(D_VISION, 3, PATCH_PX, PATCH_PX))
    for layer in range(N_VISION_LAYERS):
        block = f"v.blk.{layer}."
        for name in ("ln1", "ln2"):
            yield from norm(block + name)
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield from linear(block + name, D_VISION, D_VISION)
        yield from linear(block + "ffn_up", D_VISION_FFN, D_VISION)
        yield from linear(block + "ffn_down", D_VISION, D_VISION_FFN)
    yield from norm("v.post_ln")
    yield from linear("mm.0", 4 * D_VISION, 4 * D_VISION)
    yield from linear("mm.2", d_model, 4 * D_VISION)


def _constant(name: str, size: int, value: float) -> Tensor:
    return Tensor(name, (size,), Quant.F32, np.full(size, value, np.float32))


def _write(writer: gguf.GGUFWriter, path: Path, tensors: list[Tensor]) -> None:
    """The header as gguf writes it, then the tensors where it says they are."""
    for tensor in tensors:
        dtype = np.dtype(np.float32)  # of the shape: in weights, not in bytes
        writer.add_tensor_info(tensor.name, tensor.shape, dtype, tensor.n_bytes, tensor.quant)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()

    def padded(n_bytes: int) -> int:
        return int(gguf.GGUFWriter.ggml_pad(n_bytes, writer.data_alignment))

    sizes = (padded(tensor.n_bytes) for tensor in tensors)
    begin, *ends = itertools.accumulate(sizes, initial=padded(path.stat().st_size))
    with path.open("r+b") as file:
        file.truncate(ends[-1])
    patience = Patience()
    with ThreadPoolExecutor(N_WRITERS) as pool:
        writing = pool.map(
            lambda tensor, at: _fill(path, tensor, at, patience), tensors, [begin, *ends[:-1]]
        )
        for _ in writing:
            pass  # here errors come out


def _fill(path: Path, tensor: Tensor, at: int, patience: "Patience") -> None:
    """Write a tensor, its content over and over."""
    content = memoryview(tensor.content.reshape(-1).view(np.uint8))
    with path.open("r+b") as file:
        file.seek(at)
        for n_left in range(tensor.n_bytes, 0, -len(content)):
            patience.wait()
            file.write(content[:n_left])


class Patience:
    """Time given to a virtual machine whose memory grows as it is used: PATIENCE_S in all."""

    def __init__(self) -> None:
        self._left_s = PATIENCE_S

    def wait(self) -> None:
        """Until there is memory for what will be written, or there is no patience left."""
        while self._left_s > 0 and psutil.virtual_memory().available < LEAST_FREE_BYTES:
            time.sleep(0.05)
            self._left_s -= 0.05


def shaped_pair(name: str, folder: Path) -> Pair:
    """Where the pair of this shape is, or will be."""
    return Pair(folder / f"shaped-{name}-q4_k_m.gguf", folder / f"mmproj-shaped-{name}-f16.gguf")


def get_shaped(name: str, vocab: Path, folder: Path = BENCH_DIR) -> Pair:
    """The pair of this shape, written first where it is missing (under another name until whole).

    Args: vocab: llama.cpp's models/ggml-vocab-qwen2.gguf.
    """
    shape, pair = SHAPES[name], shaped_pair(name, folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not pair.mmproj.exists():
        part = pair.mmproj.with_suffix(".part")
        write_vision(part, shape.d_model)
        part.replace(pair.mmproj)
    if not pair.model.exists():
        part = pair.model.with_suffix(".part")
        write_text(part, vocab, shape)
        part.replace(pair.model)
    return pair


def get_shaped_2b(llama_cpp_source: Path) -> Pair:
    """The pair that the other benchmarks use."""
    return get_shaped("2b", llama_cpp_source / "models" / "ggml-vocab-qwen2.gguf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("shape", choices=list(SHAPES), nargs="?", default="2b")
    parser.add_argument("--vocab", type=Path, metavar="FILE", help="ggml-vocab-qwen2.gguf")
    parser.add_argument("--into", type=Path, metavar="FOLDER", default=BENCH_DIR)
    options = parser.parse_args()
    vocab = options.vocab or get_peers().source / "models" / "ggml-vocab-qwen2.gguf"
    print(*get_shaped(options.shape, vocab, options.into), sep="\n")


if __name__ == "__main__":
    main()
