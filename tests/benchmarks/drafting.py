"""Drafts on real text: what they gain on QVQ's published reasoning, and that nano's stays the same.

usage: python tests/benchmarks/drafting.py gain TRANSCRIPTS VOCAB SECONDS...
           TRANSCRIPTS: a folder of QVQ's published cases; VOCAB: llama.cpp's ggml-vocab-qwen2.gguf;
           SECONDS: of a pass with 1, 2, 3, ... tokens. Nothing is timed: it is a calculation
       python tests/benchmarks/drafting.py nano N_GPU_LAYERS [N_THREADS [MODEL]]
           N_THREADS: of all passes, else one, and two for several tokens, as qvq takes by itself;
           MODEL: nano in another quant, as llama-quantize makes them
       python tests/benchmarks/drafting.py again MODEL MMPROJ N_GPU_LAYERS
           how much sooner any model says again what it said
Each prints one JSON object.
"""

import ctypes
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from qvq_cli.cli.planning import choose_batch_threads, choose_threads
from qvq_cli.engine import llama
from qvq_cli.engine.drafts import Drafter, Place
from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.images import load_picture
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.llama_library import LlamaLog, import_llama_cpp
from qvq_cli.engine.ngrams import PastIndex
from qvq_cli.engine.protocol import LoadSpec, PromptPart, Reserve, Sampling
from qvq_cli.hub.catalog import catalog_entry, models_dir
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect

DATA = Path(__file__).resolve().parents[1] / "data"
PICTURES = ("published-0.png", "diagram.png", "small-0.png")
QUESTIONS = (
    "Given h(x) = f(x) * g(x), find h'(2)",
    "h = 3f - 2g. What is h'(-1)?",
    "find h'(1) where h = f/g",
    "What is the value of g'(1)?",
    "Given h(x) = f(g(x)), find h'(1)",
    "Read the table and explain each step",
)
TEMPERATURES = (0.0, 0.6)
N_TOKENS = 400
N_FORCED = 5
PREFILL_S = 1.0  # of the calculation: what a prompt takes, which buys the first trials


class Transcript(NamedTuple):
    """Tokens of a question and of its published reply."""

    prompt: list[int]
    reply: list[int]


@dataclass
class Decoded:
    """What one kind of run said of every prompt, in how many seconds; drafts and their success."""

    texts: list[list[int]] = field(default_factory=list)
    seconds: float = 0.0
    drafted: int = 0
    accepted: int = 0

    @property
    def n_tokens(self) -> int:
        return sum(len(text) for text in self.texts)

    def n_differing(self, other: "Decoded") -> int:
        return sum(a != b for a, b in zip(self.texts, other.texts, strict=True))


class Recalling(Drafter):
    """As one that finds what was said to the same prompt before. text: that, prompt and all."""

    text: Sequence[int] = ()

    def __init__(self, *arguments: Any) -> None:
        guesser, guess_share, _, batches = arguments
        super().__init__(guesser, guess_share, PastIndex([type(self).text]), batches)


class EagerDrafter(Drafter):
    """Drafts behind every match, whether they pay or not: for the most that could differ."""

    def propose(self, n_max: int) -> list[int]:
        at, match = self.index.find()
        if not match or n_max < 1:
            return []
        self._place = Place("text", at, match)
        return self._behind(at, min(n_max, N_FORCED))


def read_transcripts(folder: Path, vocab: Path) -> Iterator[Transcript]:
    """Every published case in a folder, in QVQ's own tokens."""
    lib, mtmd = import_llama_cpp()
    log = LlamaLog(lib, mtmd, verbose=False)
    lib.llama_backend_init()
    params = lib.llama_model_default_params()
    params.vocab_only = True
    model = lib.llama_model_load_from_file(os.fsencode(vocab), params)
    if not model:
        sys.exit(f"llama.cpp can't read {vocab}: {log.last_words()}")
    vocabulary = lib.llama_model_get_vocab(model)

    def tokens_of(text: str) -> list[int]:
        data = text.encode()
        tokens = (ctypes.c_int32 * (len(data) + 8))()
        n = lib.llama_tokenize(vocabulary, data, len(data), tokens, len(tokens), False, False)
        return list(tokens[:n])

    for path in sorted(folder.glob("*.json")):
        question, reply = json.loads(path.read_text("utf-8"))["messages"][:2]
        yield Transcript(tokens_of(question["content"]), tokens_of(reply["content"]))


def drafted_s(transcript: Transcript, batch_s: Sequence[float]) -> tuple[float, int]:
    """Seconds in which Drafter would come through a reply, were batches to cost so much.

    Args: batch_s: seconds of a pass with 1, 2, ... tokens; longer drafts are never made.
    Returns: also the passes.
    """
    drafter = Drafter()
    drafter.prefilled(PREFILL_S)
    drafter.index.tokens += [*transcript.prompt, transcript.reply[0]]
    at, seconds, n_passes = 1, 0.0, 0
    while at < len(transcript.reply):
        rest = transcript.reply[at:]
        draft = drafter.propose(min(len(batch_s), len(rest)) - 1)
        n_right = next((i for i, token in enumerate(draft) if token != rest[i]), len(draft))
        pass_s = batch_s[len(draft)]
        drafter.passed(len(draft), n_right, pass_s)
        drafter.index.tokens += rest[: n_right + 1]
        at += n_right + 1
        seconds += pass_s
        n_passes += 1
    return seconds, n_passes


def gain(folder: Path, vocab: Path, batch_s: Sequence[float]) -> dict[str, Any]:
    """How much faster than plain decoding Drafter would be on the published replies."""
    cases, n_tokens, n_passes, seconds = [], 0, 0, 0.0
    for transcript in read_transcripts(folder, vocab):
        case_s, case_passes = drafted_s(transcript, batch_s)
        n_case = len(transcript.reply) - 1
        cases.append(n_case * batch_s[0] / case_s)
        n_tokens, n_passes, seconds = n_tokens + n_case, n_passes + case_passes, seconds + case_s
    if not cases:
        sys.exit(f"{folder} holds no transcripts")
    return {
        "gain": n_tokens * batch_s[0] / seconds,
        "gains": cases,
        "tokens": n_tokens,
        "tokens_per_pass": n_tokens / n_passes,
    }


def nano_prompts() -> list[tuple[PromptPart, ...]]:
    """Every question about every picture, at the size that nano likes."""
    profile = catalog_entry("nano").profile
    limits = ImageLimits(profile.limits.image_tokens_min, profile.limits.image_tokens_max)
    bitmaps = [load_picture(str(DATA / name), limits).bitmap for name in PICTURES]
    return [
        build_prompt(profile.system, [bitmap], question, Dialect.HEADING)
        for bitmap in bitmaps
        for question in QUESTIONS
    ]


def load(
    model: Path, mmproj: Path, n_gpu_layers: int, n_threads: int, n_threads_batch: int = 0
) -> LlamaEngine:
    """An engine with all of a pair where its layers are, without repacked weights."""
    spec = LoadSpec(
        str(model),
        str(mmproj),
        n_threads=n_threads,
        n_threads_batch=n_threads_batch,
        n_gpu_layers=n_gpu_layers,
        vision_on_gpu=n_gpu_layers != 0,
        repack=False,
    )
    engine = LlamaEngine()
    engine.load(spec, _ignore_progress)
    return engine


def decode(
    engine: LlamaEngine,
    prompt: tuple[PromptPart, ...],
    sampling: Sampling,
    drafter: type[Drafter] | None,
    into: Decoded,
) -> None:
    """Decode a prompt to its end; a drafter of None is for no drafts."""
    engine._drafts = drafter is not None
    llama.Drafter = drafter or Drafter  # type: ignore[misc]
    engine.prefill(prompt, Reserve(64, N_TOKENS + 64), sampling, _ignore_progress)
    list(engine.decode(1))  # costs no pass
    began_s = time.perf_counter()
    into.texts.append([piece.token for piece in engine.decode(N_TOKENS)])
    into.seconds += time.perf_counter() - began_s
    counts = engine.draft_counts()
    into.drafted += counts.drafted
    into.accepted += counts.accepted


def nano(
    n_gpu_layers: int, n_threads: int, n_threads_batch: int = 0, model: Path | None = None
) -> dict[str, Any]:
    """Nano without drafts, twice, with them, asked again, and with drafts behind every match."""
    folder, prompts = models_dir() / "nano", nano_prompts()
    mmproj = folder / "mmproj-nano-q8_0.gguf"
    model = model or folder / "nano-q8_0.gguf"
    engine = load(model, mmproj, n_gpu_layers, n_threads, n_threads_batch)
    decode(engine, prompts[0], Sampling(), None, Decoded())  # to warm up
    plain, drafts, recalled, forced, again = (Decoded() for _ in range(5))
    kinds = (
        (plain, None),
        (drafts, Drafter),
        (recalled, Recalling),
        (forced, EagerDrafter),
        (again, None),
    )
    for temperature in TEMPERATURES:
        for seed, prompt in enumerate(prompts):
            for into, drafter in kinds:
                decode(engine, prompt, Sampling(temperature, seed=seed), drafter, into)
                if into is plain:
                    Recalling.text = list(engine._drafter.index.tokens)
    engine.close()
    plain_s = (plain.seconds + again.seconds) / 2
    return {
        "runs": len(plain.texts),
        "tokens": plain.n_tokens,
        "plain_differ": plain.n_differing(again),
        "plain_tps": plain.n_tokens / plain_s,
        **{
            name: {
                "differ": plain.n_differing(done),
                "drafted": done.drafted,
                "accepted": done.accepted,
                "gain": done.n_tokens / done.seconds / (plain.n_tokens / plain_s),
            }
            for name, done in (("drafts", drafts), ("recalled", recalled), ("forced", forced))
        },
    }


def again(model: Path, mmproj: Path, n_gpu_layers: int) -> dict[str, Any]:
    """A model's first N_TOKENS behind some prompts: plain, with drafts, and with the past known."""
    engine = load(model, mmproj, n_gpu_layers, choose_threads(None, is_tiny=False))
    prompts = nano_prompts()[: len(PICTURES)]
    decode(engine, prompts[-1], Sampling(), None, Decoded())  # to warm up
    runs = []
    for prompt in prompts:
        plain, drafts, recalled = Decoded(), Decoded(), Decoded()
        decode(engine, prompt, Sampling(), None, plain)
        Recalling.text = list(engine._drafter.index.tokens)
        decode(engine, prompt, Sampling(), Drafter, drafts)
        decode(engine, prompt, Sampling(), Recalling, recalled)
        runs.append(
            {
                "tokens": plain.n_tokens,
                "plain_s": plain.seconds,
                "drafts_s": drafts.seconds,
                "again_s": recalled.seconds,
                "gain": plain.seconds / recalled.seconds,
                "differ": plain.n_differing(recalled),
            }
        )
    engine.close()
    return {"runs": runs}


def _ignore_progress(_stage: object, _share: float) -> None:
    """Nobody watches."""


def main() -> None:
    match sys.argv[1:]:
        case ["gain", folder, vocab, *seconds] if seconds:
            found = gain(Path(folder), Path(vocab), [float(value) for value in seconds])
        case ["nano", n_gpu_layers]:
            found = nano(int(n_gpu_layers), 1, choose_batch_threads())
        case ["nano", n_gpu_layers, n_threads]:
            found = nano(int(n_gpu_layers), int(n_threads))
        case ["nano", n_gpu_layers, n_threads, model]:
            found = nano(int(n_gpu_layers), int(n_threads), model=Path(model))
        case ["again", model, mmproj, n_gpu_layers]:
            found = again(Path(model), Path(mmproj), int(n_gpu_layers))
        case _:
            sys.exit(__doc__)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
