"""Turns a GGUF pair back into training weights, so that training can go on from what is shipped.

    python -m recipe.restore GGUFS OUT --quant q8_0

The labels' head isn't in the pair: it starts anew, and reads again within a minute of training.
"""

import argparse
from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor

from recipe.checkpoint import save_parts
from recipe.model import Nano, Shape
from recipe.tokenizer import Tokenizer


def _read(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file in single precision, in torch's order of dimensions."""
    tensors = {}
    for tensor in gguf.GGUFReader(path).tensors:
        data = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        shape = tuple(int(n) for n in reversed(tensor.shape))
        tensors[tensor.name] = torch.from_numpy(np.array(data, np.float32).reshape(shape))
    return tensors


def restore_weights(text: Path, mmproj: Path, shape: Shape) -> dict[str, Tensor]:
    """The inverse of `recipe.export`; see there for the names."""
    theirs = _read(text) | _read(mmproj)
    kernel = theirs["v.patch_embd.weight"] + theirs["v.patch_embd.weight.1"]
    ours = {
        "patch.weight": kernel.reshape(shape.vision_dim, -1),
        "embedding.weight": theirs["token_embd.weight"],
        "norm.weight": theirs["output_norm.weight"],
    }
    vision = {"norm1": "ln1", "norm2": "ln2", "out": "attn_out", "up": "ffn_up", "down": "ffn_down"}
    for kind in ("weight", "bias"):
        for name, to in (("merge_norm", "v.post_ln"), ("merge1", "mm.0"), ("merge2", "mm.2")):
            ours[f"{name}.{kind}"] = theirs[f"{to}.{kind}"]
        for i in range(shape.vision_layers):
            for name, to in vision.items():
                ours[f"vision_blocks.{i}.{name}.{kind}"] = theirs[f"v.blk.{i}.{to}.{kind}"]
            parts = [theirs[f"v.blk.{i}.attn_{letter}.{kind}"] for letter in "qkv"]
            ours[f"vision_blocks.{i}.qkv.{kind}"] = torch.cat(parts)
    for i in range(shape.n_layers):
        to, own = f"blk.{i}.", f"text_blocks.{i}."
        for kind in ("weight", "bias"):
            parts = [theirs[f"{to}attn_{letter}.{kind}"] for letter in "qkv"]
            ours[f"{own}qkv.{kind}"] = torch.cat(parts)
        ours[f"{own}norm1.weight"] = theirs[f"{to}attn_norm.weight"]
        ours[f"{own}norm2.weight"] = theirs[f"{to}ffn_norm.weight"]
        ours[f"{own}out.weight"] = theirs[f"{to}attn_output.weight"]
        ours[f"{own}down.weight"] = theirs[f"{to}ffn_down.weight"]
        gate_up = [theirs[f"{to}ffn_gate.weight"], theirs[f"{to}ffn_up.weight"]]
        ours[f"{own}gate_up.weight"] = torch.cat(gate_up)
    return ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ggufs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quant", default="q8_0", choices=("q8_0", "f16"))
    args = parser.parse_args()
    model = Nano(Shape(Tokenizer.load().n_vocab))
    pair = (args.ggufs / f"nano-{args.quant}.gguf", args.ggufs / f"mmproj-nano-{args.quant}.gguf")
    missing = model.load_state_dict(restore_weights(*pair, model.shape), strict=False).missing_keys
    print("started anew:", ", ".join(missing))
    save_parts(model, args.out)


if __name__ == "__main__":
    main()
