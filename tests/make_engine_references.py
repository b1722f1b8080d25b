"""What transformers says to the pictures of test_parity.py, on the very weights of models/nano.

Qwen2VLForConditionalGeneration runs in float32 on the dequantized tensors; the prompt is rendered
by the GGUF's own chat template, so that neither our engine nor our prompt builder has a hand in the
reference. Run it again whenever models/nano changes, in an environment of its own (the tests need
none of it):

    pip install "torch==2.13.0" "transformers==5.23.0" "gguf>=0.17" "pillow>=11.3" jinja2
    python tests/make_engine_references.py

Writes tests/data/engine_references.json and the pictures beside it.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import tokenizers
import torch
import transformers
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from pictures import PRODUCT_QUESTION, PUBLISHED, draw_random, draw_table

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "nano" / "nano-q8_0.gguf"
MMPROJ = ROOT / "models" / "nano" / "mmproj-nano-q8_0.gguf"
DATA = ROOT / "tests" / "data"
MAX_TOKENS = 320
TIE = 0.1
# The pre-tokenizer that llama.cpp calls "qwen2" (src/llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_QWEN2).
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# GGUF tensor names to those of Qwen2VLForConditionalGeneration; q, k and v of the vision tower are
# one matrix there, and its patch convolution has a time axis that GGUF keeps as two tensors.
TEXT_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
VISION_NAMES = {
    "ln1": "norm1",
    "ln2": "norm2",
    "attn_out": "attn.proj",
    "ffn_up": "mlp.fc1",
    "ffn_down": "mlp.fc2",
}
WHOLE_NAMES = {
    "token_embd": "model.language_model.embed_tokens",
    "output_norm": "model.language_model.norm",
    "v.post_ln": "model.visual.merger.ln_q",
    "mm.0": "model.visual.merger.mlp.0",
    "mm.2": "model.visual.merger.mlp.2",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt: pictures first, then the question; system None is the template's own."""

    name: str
    pictures: tuple[Image.Image, ...]
    question: str
    system: str | None = None


def make_cases() -> list[Case]:
    """Prompts that differ in all the engine could get wrong: sizes, positions, batches, text."""
    problem = "Let h(x) = f(x) * g(x). Find h'(1)."
    two = (draw_random(6)[0], draw_table(PUBLISHED, (588, 392), font_px=20))
    return [
        Case("published", (draw_table(PUBLISHED),), PRODUCT_QUESTION),
        Case("rules", (draw_table(PUBLISHED, (476, 308), style="rules"),), "find h'(2) if h = f*g"),
        Case("problem-in-picture", (draw_random(2, caption=problem)[0],), "Solve the problem."),
        Case("system", (draw_random(3)[0],), "Read the table.", "You are a helpful assistant."),
        Case("tall", (draw_table(PUBLISHED, (420, 588)),), "What is f'(2)?"),
        Case("wide", (draw_table(PUBLISHED, (840, 280)),), "Let h(x) = f(g(x)). Find h'(2)."),
        Case("small", (Image.new("RGB", (56, 28), (255, 255, 255)),), "表里有什么？"),
        Case("two-pictures", two, "Given h(x) = f(x) - g(x), find h'(-1)"),
    ]


def read_gguf(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Metadata and the dequantized tensors of a GGUF file."""
    reader = gguf.GGUFReader(path)
    metadata = {name: field.contents() for name, field in reader.fields.items()}
    tensors = {
        tensor.name: torch.tensor(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
        for tensor in reader.tensors
    }
    return metadata, tensors


def rename(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """GGUF's tensors under transformers' names."""
    state: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        if block := re.fullmatch(r"blk\.(\d+)\.(\w+)", stem):
            layer = f"model.language_model.layers.{block[1]}"
            state[f"{layer}.{TEXT_NAMES[block[2]]}.{kind}"] = tensor
        elif (block := re.fullmatch(r"v\.blk\.(\d+)\.(\w+)", stem)) and block[2] in VISION_NAMES:
            state[f"model.visual.blocks.{block[1]}.{VISION_NAMES[block[2]]}.{kind}"] = tensor
        elif stem in WHOLE_NAMES:
            state[f"{WHOLE_NAMES[stem]}.{kind}"] = tensor
        elif block := re.fullmatch(r"v\.blk\.(\d+)\.attn_q", stem):
            parts = [tensors[f"v.blk.{block[1]}.attn_{part}.{kind}"] for part in "qkv"]
            state[f"model.visual.blocks.{block[1]}.attn.qkv.{kind}"] = torch.cat(parts)
    halves = [tensors["v.patch_embd.weight"], tensors["v.patch_embd.weight.1"]]
    state["model.visual.patch_embed.proj.weight"] = torch.stack(halves, dim=2)
    state["lm_head.weight"] = tensors.get("output.weight", tensors["token_embd.weight"])
    return state


def make_config(text: dict[str, Any], vision: dict[str, Any]) -> transformers.Qwen2VLConfig:
    """transformers' configuration for the shapes that the GGUF files state."""
    v, t = "clip.vision.", "qwen2vl."
    tokens = text["tokenizer.ggml.tokens"]
    width = vision[v + "embedding_length"]
    return transformers.Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokens),
            "hidden_size": text[t + "embedding_length"],
            "intermediate_size": text[t + "feed_forward_length"],
            "num_hidden_layers": text[t + "block_count"],
            "num_attention_heads": text[t + "attention.head_count"],
            "num_key_value_heads": text[t + "attention.head_count_kv"],
            "max_position_embeddings": text[t + "context_length"],
            "rms_norm_eps": text[t + "attention.layer_norm_rms_epsilon"],
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": text[t + "rope.freq_base"],
                "mrope_section": text[t + "rope.dimension_sections"][:3],
            },
            "bos_token_id": text["tokenizer.ggml.bos_token_id"],
            "eos_token_id": text["tokenizer.ggml.eos_token_id"],
        },
        vision_config={
            "depth": vision[v + "block_count"],
            "embed_dim": width,
            "hidden_size": vision[v + "projection_dim"],
            "mlp_ratio": vision[v + "feed_forward_length"] // width,
            "num_heads": vision[v + "attention.head_count"],
            "patch_size": vision[v + "patch_size"],
        },
        image_token_id=tokens.index("<|image_pad|>"),
        vision_start_token_id=tokens.index("<|vision_start|>"),
        vision_end_token_id=tokens.index("<|vision_end|>"),
        tie_word_embeddings=True,
    )


def make_tokenizer(text: dict[str, Any]) -> transformers.PreTrainedTokenizerFast:
    """The GGUF's byte-level BPE, with its control tokens and its chat template."""
    tokens, kinds = text["tokenizer.ggml.tokens"], text["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in text["tokenizer.ggml.merges"]]
    vocab = {token: i for i, token in enumerate(tokens)}
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, merges))
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(QWEN2_SPLIT), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = tokenizers.decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, kinds, strict=True) if kind == gguf.TokenType.CONTROL]
    bpe.add_special_tokens(control)
    template = text["tokenizer.chat_template"]
    return transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, chat_template=template)


def load_model(text_path: Path, vision_path: Path) -> tuple[Any, Any, Any]:
    """Model, tokenizer and image processor from a GGUF pair; every weight must find its place."""
    text, text_tensors = read_gguf(text_path)
    vision, vision_tensors = read_gguf(vision_path)
    model = transformers.Qwen2VLForConditionalGeneration(make_config(text, vision)).float().eval()
    model.load_state_dict(rename(text_tensors | vision_tensors), strict=True)
    images = Qwen2VLImageProcessorPil(
        image_mean=vision["clip.vision.image_mean"],
        image_std=vision["clip.vision.image_std"],
        size={"shortest_edge": 28 * 28, "longest_edge": 4096 * 28 * 28},
    )
    return model, make_tokenizer(text), images


def run_case(case: Case, model: Any, tokenizer: Any, images: Any) -> dict[str, Any]:
    """Generate greedily.

    nano was taught several wordings of one step, so some of its choices are all but tossed. `ties`
    lists those where the chosen token leads the second by less than TIE in logits: its index in
    `tokens`, that lead, and the length of the text up to and with it, to go on from.
    """
    seen = images(images=list(case.pictures), return_tensors="pt")
    image_tokens = [int(grid.prod()) // 4 for grid in seen["image_grid_thw"]]
    content = [*({"type": "image"} for _ in case.pictures), {"type": "text", "text": case.question}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if case.system is not None:
        messages.insert(0, {"role": "system", "content": case.system})
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    for count in image_tokens:
        prompt = prompt.replace("<|image_pad|>", "<|placeholder|>" * count, 1)
    ids = tokenizer(prompt.replace("<|placeholder|>", "<|image_pad|>"), return_tensors="pt")
    input_ids = ids["input_ids"]
    with torch.inference_mode():
        out = model.generate(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            mm_token_type_ids=(input_ids == model.config.image_token_id).int(),
            pixel_values=seen["pixel_values"],
            image_grid_thw=seen["image_grid_thw"],
            do_sample=False,
            max_new_tokens=MAX_TOKENS,
            pad_token_id=model.config.text_config.eos_token_id,
            output_scores=True,
            return_dict_in_generate=True,
        )
    tokens = out.sequences[0, input_ids.shape[1] :].tolist()
    best, second = torch.stack(out.scores)[:, 0].topk(2).values.unbind(-1)
    leads = (best - second).tolist()
    ties = [
        {"index": i, "lead": round(lead, 4), "length": len(tokenizer.decode(tokens[: i + 1]))}
        for i, lead in enumerate(leads)
        if lead < TIE
    ]
    return {
        "name": case.name,
        "pictures": [f"{case.name}-{i}.png" for i in range(len(case.pictures))],
        "question": case.question,
        "system": case.system,
        "prompt_tokens": input_ids.shape[1],
        "prompt_positions": input_ids.shape[1] + int(model.model.rope_deltas),
        "image_tokens": image_tokens,
        "tokens": tokens,
        "text": tokenizer.decode(tokens, skip_special_tokens=True),
        "ties": ties,
    }


def main() -> None:
    torch.set_num_threads(1)
    DATA.mkdir(exist_ok=True)
    model, tokenizer, images = load_model(MODEL, MMPROJ)
    results = []
    for case in make_cases():
        result = run_case(case, model, tokenizer, images)
        for name, picture in zip(result["pictures"], case.pictures, strict=True):
            picture.save(DATA / name, optimize=True)
        print(f"{case.name}: {len(result['tokens'])} tokens, {len(result['ties'])} ties")
        results.append(result)
    record = {
        "made_by": "tests/make_engine_references.py",
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "sha256": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (MODEL, MMPROJ)},
        "cases": results,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    # Lists of numbers and ties on one line each: the file is read by people too.
    text = re.sub(r"\[[\s\d,]+\]|\{[^{}\[\]]+\}", lambda match: " ".join(match[0].split()), text)
    (DATA / "engine_references.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
