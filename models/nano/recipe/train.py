"""Trains nano on the GPUs of one machine, by the clock, and says how good it is.

    python -m recipe.train --assets ASSETS --out OUT --seconds 500
    python -m recipe.train --assets ASSETS --out SECOND --seconds 500 --resume OUT --seed 2
    torchrun --standalone --nproc-per-node 4 -m recipe.train --assets ASSETS --out OUT

A run keeps its rate, then lets it fall; the second run starts from the first one's weights (the
optimizer's state is not kept: it costs nothing). Everything is drawn while training: no picture is
seen twice. Under torchrun every GPU draws its own batches, and a step takes their mean gradient.
"""

import argparse
import contextlib
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recipe.batches import Batch, EasyShare, batches, token_weights
from recipe.canvas import IGNORE
from recipe.checkpoint import load_parts, save_parts
from recipe.crew import Crew
from recipe.drawing import Studio
from recipe.model import LABEL_SIZES, Nano, Shape
from recipe.muon import Muon
from recipe.pixels import augment
from recipe.tokenizer import Tokenizer
from recipe.trial import draw_items, run_trial


@dataclass(frozen=True, slots=True)
class Plan:
    """How one run goes.

    seconds: of training proper. decay: the share of it in which the rate falls to `floor`.
    """

    assets: Path
    out: Path
    seconds: float
    seed: int
    resume: Path | None
    workers: int
    n_tokens: int
    n_asks: int
    muon_rate: float
    adam_rate: float
    decay: float
    floor: float
    label_weight: float
    easy: tuple[float, float]
    tiny: bool
    trial: int

    def rate(self, progress: float, step: int) -> float:
        """The factor on both learning rates."""
        warm = min(1.0, (step + 1) / 100)
        if progress <= 1 - self.decay:
            return warm
        return warm * (self.floor + (1 - self.floor) * (1 - progress) / self.decay)


class _Stream(torch.utils.data.IterableDataset[Batch]):
    """Batches, drawn in a worker process."""

    def __init__(self, plan: Plan, rank: int, progress: Any) -> None:
        self._plan, self._rank, self._progress = plan, rank, progress

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        worker = torch.utils.data.get_worker_info()
        seed = self._plan.seed * 1000 + self._rank * 100 + (worker.id if worker else 0)
        easy = EasyShare(self._progress, *self._plan.easy)
        studio = Studio.open(self._plan.assets)
        yield from map(
            _as_tensors,
            batches(studio, Tokenizer.load(), seed, easy, self._plan.n_tokens, self._plan.n_asks),
        )


def _as_tensors(batch: Batch) -> Any:
    parts = [{k: torch.from_numpy(getattr(p, k)) for k in p.__slots__} for p in batch.parts]
    return {
        "pixels": torch.from_numpy(batch.pixels),
        "labels": torch.from_numpy(batch.labels),
        "parts": parts,
    }


def _to(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {k: _to(v, device) for k, v in batch.items()}
    return [_to(v, device) for v in batch]


class _Optimizer:
    """Muon for the matrices of the blocks and the merger, AdamW for the rest."""

    def __init__(self, model: Nano, plan: Plan) -> None:
        self._plan = plan
        matrices: list[tuple[Tensor, list[int]]] = []
        decayed: list[Tensor] = []
        self.others: list[Tensor] = []
        kv = model.shape.n_kv_heads * model.shape.head_dim
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and name.split(".")[0] in (
                "vision_blocks",
                "text_blocks",
                "merge1",
                "merge2",
            ):
                rows = weight.shape[0]
                pieces = [rows]
                if name.endswith("qkv.weight"):
                    pieces = (
                        [rows // 3] * 3 if name.startswith("vision") else [model.shape.dim, kv, kv]
                    )
                elif name.endswith("gate_up.weight"):
                    pieces = [rows // 2] * 2
                matrices.append((weight, pieces))
            elif weight.ndim == 2 and name != "embedding.weight":
                decayed.append(weight)
            else:
                self.others.append(weight)
        self._muon = Muon(matrices)
        groups = [
            {"params": decayed, "weight_decay": 0.05},
            {"params": self.others, "weight_decay": 0.0},
        ]
        self._clipped = decayed + self.others
        self._adam = torch.optim.AdamW(
            groups, lr=plan.adam_rate, betas=(0.9, 0.95), fused=decayed[0].is_cuda
        )

    def step(self, factor: float) -> None:
        nn.utils.clip_grad_norm_(self._clipped, 1.0)
        for group in self._adam.param_groups:
            group["lr"] = self._plan.adam_rate * factor
        self._muon.step(self._plan.muon_rate * factor)
        self._adam.step()


def label_loss(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of the five heads.

    In the first three, patches with and without something count half each.

    Returns: the loss, and how often the value of a labelled patch is right.
    """
    loss = scores.new_zeros((), dtype=torch.float32)
    right = loss
    for i, head in enumerate(scores.float().split(LABEL_SIZES, -1)):
        wanted = labels[..., i].reshape(-1).long()
        each = F.cross_entropy(
            head.reshape(wanted.shape[0], -1), wanted, reduction="none", ignore_index=IGNORE
        )
        if i < 3:
            full = (wanted > 0).float()
            loss = loss + (each * full).sum() / full.sum().clamp(min=1)
            loss = loss + 0.5 * (each * (1 - full)).sum() / (1 - full).sum().clamp(min=1)
        else:
            loss = loss + 0.5 * each.sum() / (wanted != IGNORE).sum().clamp(min=1)
        if i == 0:
            right = ((head.argmax(-1).reshape(-1) == wanted) * full).sum() / full.sum().clamp(min=1)
    return loss, right


def _precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 on a GPU; CPUs without it are slower for it."""
    return (
        torch.autocast("cuda", torch.bfloat16)
        if device.type == "cuda"
        else contextlib.nullcontext()
    )


class _Meter:
    """Running means of what a step reports, without waiting for the GPU."""

    def __init__(self, names: tuple[str, ...], device: torch.device) -> None:
        self._names, self._sums, self._n = names, torch.zeros(len(names), device=device), 0

    def add(self, values: tuple[Tensor, ...]) -> None:
        self._sums += torch.stack([v.detach().float() for v in values])
        self._n += 1

    def take(self) -> str:
        means = (self._sums / max(1, self._n)).tolist()
        self._sums.zero_()
        self._n = 0
        return " ".join(f"{n} {v:.4f}" for n, v in zip(self._names, means, strict=True))


def _losses(model: Nano, batch: Any, is_digit: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """The loss of the text, of the labels, and what to report."""
    features = model.encode_images(augment(batch["pixels"]))
    labels, value_right = label_loss(model.labels(features.patches), batch["labels"])
    total = weight_sum = labels.new_zeros(())
    right = digits = digits_right = n = labels.new_zeros(())
    for part in batch["parts"]:
        rows = features.merged.index_select(0, part["pictures"]).reshape(-1, model.shape.dim)
        hidden = model(model.embed(part["ids"], part["slots"], rows), part["positions"])
        logits = model.logits(hidden.reshape(-1, model.shape.dim).index_select(0, part["targets"]))
        tokens, weights = part["tokens"], part["weights"]
        total = total + (F.cross_entropy(logits, tokens, reduction="none") * weights).sum()
        weight_sum = weight_sum + weights.sum()
        hit, digit = (logits.argmax(-1) == tokens).float(), is_digit[tokens]
        right, n = right + hit.sum(), n + tokens.numel()
        digits, digits_right = digits + digit.sum(), digits_right + (hit * digit).sum()
    text = total / weight_sum
    return text, labels, (text, labels, right / n, digits_right / digits, value_right)


def _prepare(plan: Plan, device: torch.device) -> Nano:
    torch.manual_seed(plan.seed)
    tokenizer = Tokenizer.load()
    shape = Shape(tokenizer.n_vocab)
    if plan.tiny:
        shape = Shape(tokenizer.n_vocab, n_layers=2, vision_layers=2)
    model = Nano(shape).to(device)
    if plan.resume is not None:
        model.load_state_dict(load_parts(plan.resume))
    if device.type == "cuda":
        torch._dynamo.config.cache_size_limit = 64
        for block in (*model.vision_blocks, *model.text_blocks):
            block.compile(dynamic=True)
    return model


def _loader(plan: Plan, crew: Crew, progress: Any) -> Any:
    return torch.utils.data.DataLoader(
        _Stream(plan, crew.rank, progress),
        batch_size=None,
        num_workers=plan.workers,
        pin_memory=crew.device.type == "cuda",
        prefetch_factor=4 if plan.workers else None,
    )


class _Clock:
    """How much of the run is done, looked at once in a while.

    All GPUs take the mean of what their clocks say, so that they stop after the same step. What
    comes before the first look (compiling) doesn't count.
    """

    def __init__(self, seconds: float, crew: Crew) -> None:
        self._seconds, self._crew = seconds, crew
        self._every = 20 if crew.device.type == "cuda" else 1
        self._started: float | None = None
        self.done = 0.0

    def look(self, step: int) -> float:
        """The share of the run that is done before this step."""
        if step % self._every == 0 and step:
            now = time.monotonic()
            if self._started is None:
                self._started = now
            self.done = self._crew.mean((now - self._started) / self._seconds)
        return self.done


def train(plan: Plan, crew: Crew) -> Nano:
    """One run. The first GPU's process writes the weights and log.txt to plan.out."""
    device = crew.device
    torch.set_float32_matmul_precision("high")
    torch.backends.cuda.enable_cudnn_sdp(False)  # it plans anew for every shape: 50 ms a step
    progress = multiprocessing.get_context("fork").Value("d", 0.0)
    loader = _loader(plan, crew, progress)
    stream = iter(loader)
    model = _prepare(plan, device)
    torch.manual_seed(plan.seed * 1000 + crew.rank)  # each GPU changes its pictures its own way
    optimizer = _Optimizer(model, plan)
    is_digit = torch.tensor(
        [float(w == 3.0) for w in token_weights(Tokenizer.load())], device=device
    )
    meter = _Meter(("text", "labels", "right", "digits", "values"), device)
    plan.out.mkdir(parents=True, exist_ok=True)
    began, step, n_pictures, waited = time.monotonic(), 0, 0, 0.0
    saved = began
    clock = _Clock(plan.seconds, crew)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((plan.out / "log.txt").open("w")) if crew.rank == 0 else None
        while (done := clock.look(step)) < 1:
            progress.value = done
            asked = time.monotonic()
            batch = next(stream)
            waited += time.monotonic() - asked
            batch = _to(batch, device)
            with _precision(device):
                text, labels, report = _losses(model, batch, is_digit)
            (text + plan.label_weight * (1 - 0.8 * done) * labels).backward()
            crew.share_gradients(model)
            optimizer.step(plan.rate(done, step))
            model.zero_grad(set_to_none=True)
            meter.add(report)
            step, n_pictures = step + 1, n_pictures + batch["pixels"].shape[0]
            if log is None:
                continue
            if step % 100 == 0 or step in (1, 5, 20):
                line = (
                    f"step {step} s {time.monotonic() - began:.0f} done {done:.3f} "
                    f"pictures {n_pictures * crew.size} {meter.take()} waited {waited:.1f}"
                )
                print(line, flush=True)
                print(line, file=log, flush=True)
            if time.monotonic() - saved > 150:
                save_parts(model, plan.out)
                saved = time.monotonic()
    if crew.rank == 0:
        save_parts(model, plan.out)
        seconds = time.monotonic() - began
        print(f"trained {step} steps, {n_pictures * crew.size} pictures, {seconds:.0f} s on "
              f"{crew.size} of {crew.name}", flush=True)  # fmt: skip
    del stream, loader
    return model


def _report(trained: Nano, plan: Plan) -> None:
    """Try the model on fonts that it never saw, and write trial.json."""
    began = time.monotonic()
    tokenizer = Tokenizer.load()
    model = Nano(trained.shape)  # not compiled: decoding has other shapes
    model.load_state_dict(trained.state_dict())
    device = trained.embedding.weight.device
    model.to(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    items = draw_items(Studio.open(plan.assets, held_out=True), 99, plan.trial)
    results = {}
    for name, share in (("free", None), ("cut at 25 %", 0.25), ("no reasoning", 0.0)):
        results[name] = run_trial(model, tokenizer, items, share)
        print(
            name,
            {k: round(v, 3) for k, v in results[name].items()},
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
    (plan.out / "trial.json").write_text(json.dumps(results, indent=1))


def _parse() -> Plan:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--n-tokens", type=int, default=20000, help="image tokens a batch")
    parser.add_argument("--n-asks", type=int, default=3, help="exchanges a picture")
    parser.add_argument("--muon-rate", type=float, default=0.02)
    parser.add_argument("--adam-rate", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.5)
    parser.add_argument("--floor", type=float, default=0.0)
    parser.add_argument("--label-weight", type=float, default=0.3)
    parser.add_argument("--easy", type=float, nargs=2, default=(0.45, 0.1))
    parser.add_argument(
        "--tiny", action="store_true", help="two layers each, to try things on a CPU"
    )
    parser.add_argument(
        "--trial", type=int, default=60, help="problems a family in the trial at the end"
    )
    args = vars(parser.parse_args())
    return Plan(**{**args, "easy": tuple(args["easy"])})


if __name__ == "__main__":
    _plan = _parse()
    with Crew.join() as _crew:
        _trained = train(_plan, _crew)
    if _plan.trial and _crew.rank == 0:
        _report(_trained, _plan)
