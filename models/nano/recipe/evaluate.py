"""Evaluates a GGUF pair on the frozen sets, greedy, through the program's own engine.

    python -m recipe.evalsets --assets ASSETS --out SETS        (once: the sets have fixed seeds)
    python -m recipe.evaluate GGUFS SETS --quant q8_0 --share 0.25

Right is the last box, letter for letter; for what must be declined, neither box nor heading.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from qvq_cli.engine.grid import ImageLimits, image_grid
from recipe.evalsets import Problem, load_set
from recipe.llama import Asker
from recipe.problem import HEADING, Exchange
from recipe.scoring import is_refusal, is_right
from recipe.tokenizer import shared_tokenizer

LIMITS = ImageLimits(image_tokens_min=70, image_tokens_max=600)


def snap(path: Path) -> np.ndarray:
    """A picture as the program hands it to the encoder."""
    with Image.open(path) as image:
        grid = image_grid(image.width, image.height, LIMITS)
        size = (grid.w * LIMITS.token_px, grid.h * LIMITS.token_px)
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))


def cut(reply: str, exchange: Exchange, share: float) -> str:
    """A reply's own reasoning cut at a share of its tokens, with the heading that qvq forces."""
    tokenizer = shared_tokenizer()
    reasoning = reply.split(HEADING[exchange.language])[0].rstrip()
    ids = tokenizer.encode(reasoning)
    kept = tokenizer.decode(ids[: int(len(ids) * share)]).rstrip("\ufffd")
    return f"{kept}\n\n{HEADING[exchange.language]}\n\n"


def evaluate(
    asker: Asker, problems: list[Problem], share: float | None, log: list[dict[str, object]]
) -> dict[str, str]:
    """Right of all by group; log gets a line a problem."""
    right: dict[str, list[bool]] = defaultdict(list)
    for problem in problems:
        pixels = snap(problem.picture)
        reply = asker.ask(problem.exchange.question, [pixels]) if share != 0 else ""
        if share is not None:
            reply = asker.ask(
                problem.exchange.question, [pixels], cut(reply, problem.exchange, share)
            )
        ok = is_right(problem.exchange, reply)
        right[problem.group].append(ok)
        if problem.exchange.answer is not None:
            right["(declined though answerable)"].append(is_refusal(reply))
        log.append(
            {"picture": problem.picture.name, "group": problem.group,
            "question": problem.exchange.question,
             "answer": problem.exchange.answer, "right": ok, "reply": reply}
        )  # fmt: skip
    return {group: f"{sum(v)}/{len(v)}" for group, v in sorted(right.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ggufs", type=Path)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--quant", default="q8_0", choices=("q8_0", "f16"))
    parser.add_argument(
        "--share",
        type=float,
        help="cut the reasoning there and force the heading; 0 for none at all",
    )
    parser.add_argument("--only", help="one set")
    parser.add_argument("--limit", type=int, help="problems of each set")
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()
    asker = Asker(args.ggufs, args.quant)
    log: list[dict[str, object]] = []
    for folder in sorted(p.parent for p in args.sets.glob("*/problems.json")):
        if args.only and folder.name != args.only:
            continue
        began = time.monotonic()
        results = evaluate(asker, load_set(folder)[: args.limit], args.share, log)
        print(
            f"{folder.name}: {json.dumps(results, ensure_ascii=False)} "
            f"in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        if args.log:
            args.log.write_text(
                "\n".join(json.dumps(line, ensure_ascii=False) for line in log), encoding="utf-8"
            )


if __name__ == "__main__":
    main()
