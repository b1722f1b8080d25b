"""A draft model (--draft): which file it is, whether it can make drafts, what memory it takes.

Any GGUF with the vocabulary of the model that it guesses for, one that reads text only as well as
one that sees. Its header is read for what a plan must know, and for what can be refused before
anything is loaded; the engine compares the vocabularies token by token.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from qvq_cli.engine.protocol import N_UBATCH, N_VOCAB_APART, Device
from qvq_cli.errors import GgufError, UnavailableError
from qvq_cli.hub.catalog import CatalogEntry
from qvq_cli.hub.gguf import GgufFile, read_gguf
from qvq_cli.hub.gguf_checks import damaged, matrix
from qvq_cli.hub.identify import known_entry, name_of, quant_of
from qvq_cli.hub.offload import MARGIN_BYTES
from qvq_cli.hub.plan import (
    CTX_STEP,
    F32_BYTES,
    VOCABULARY_BYTES_PER_TOKEN,
    activation_bytes,
)
from qvq_cli.hub.run_plan import DraftUse, Machine
from qvq_cli.hub.store import locate_model
from qvq_cli.hub.text_model import TextShape, read_shape
from qvq_cli.hub.vision_model import is_mmproj

AUTO = "auto"
"""Stands for the draft model that the catalog names for a model."""


class Draft(NamedTuple):
    """A draft model whose header is sound. name: with its quant, for people.

    host_bytes: of the weights, what stays in the computer's memory even if all layers are on a GPU.
    """

    name: str
    path: Path
    text: TextShape
    weight_bytes: int
    host_bytes: int

    def needed_bytes(self, n_ctx: int, *, on_gpu: bool) -> int:
        """Weights, KV cache and working memory for a text of n_ctx tokens."""
        text = self.text
        n_ctx = min(-(-n_ctx // CTX_STEP) * CTX_STEP, text.n_ctx_train)
        # A GPU's backend makes room for the scores of a whole batch, the CPU touches one row.
        n_scores = N_UBATCH if on_gpu else 1
        vocabulary = text.n_vocab * (n_scores * F32_BYTES + VOCABULARY_BYTES_PER_TOKEN)
        working = activation_bytes(text, n_ctx) + vocabulary
        return self.weight_bytes + n_ctx * text.kv_bytes_per_token + working


def find_draft(
    wanted: str, entry: CatalogEntry | None, n_vocab: int, environ: Mapping[str, str]
) -> Draft:
    """The draft model that was asked for.

    Args:
        wanted: as typed: a name, hf:OWNER/REPO[:QUANT], a GGUF file, or AUTO.
        entry: the catalog's entry of the model to guess for, with n_vocab tokens.
    Raises:
        UnavailableError: it isn't on this machine, or AUTO and the catalog names none.
        InputNotFoundError: no such file. GgufError: damaged, no text model, another vocabulary.
        DataError: an installed file was changed or is gone. UsageError: hf: without a repository.
    """
    named = _named_by_catalog(entry) if wanted == AUTO else wanted
    try:
        located = locate_model(named, environ, needs_mmproj=False)
    except UnavailableError as error:
        raise UnavailableError(
            f"--draft {wanted}: {error.message}", hint=error.hint, reference=error.reference
        ) from error
    gguf = read_gguf(located.model)
    text = _checked_shape(gguf)
    if abs(text.n_vocab - n_vocab) > N_VOCAB_APART:
        raise GgufError(
            f"{gguf.path.name} can't make drafts for this model: it has {text.n_vocab:,} tokens, "
            f"the model {n_vocab:,}",
            hint="give --draft a smaller model of the same family, or leave it out",
            reference="draft-vocabulary",
        )
    return Draft(
        name=f"{name_of(gguf, known_entry(gguf))} {quant_of(gguf)}",
        path=gguf.path,
        text=text,
        weight_bytes=gguf.weight_bytes,
        host_bytes=gguf.tensors["token_embd.weight"].n_bytes,
    )


def place_draft(draft: Draft, n_ctx: int, machine: Machine, *, may_use_gpu: bool) -> Machine:
    """Take a draft model's memory from a machine's: from its GPUs where they have room.

    Args: n_ctx: the tokens of the text that it reads.
    Returns: what is left for the model itself.
    """
    gpu_bytes = draft.needed_bytes(n_ctx, on_gpu=True)
    gpu_free_bytes = sum(gpu.free_bytes for gpu in machine.gpus)
    if not may_use_gpu or gpu_bytes + MARGIN_BYTES > gpu_free_bytes:
        n_bytes = draft.needed_bytes(n_ctx, on_gpu=False)
        left_bytes = max(0, machine.free_bytes - n_bytes)
        return machine._replace(free_bytes=left_bytes, draft=DraftUse(n_bytes, is_on_gpu=False))
    host_bytes = gpu_bytes if machine.is_unified else draft.host_bytes
    return machine._replace(
        free_bytes=max(0, machine.free_bytes - host_bytes),
        gpus=_without(machine.gpus, gpu_bytes / gpu_free_bytes),
        draft=DraftUse(gpu_bytes, is_on_gpu=True),
    )


def _without(gpus: Sequence[Device], share: float) -> tuple[Device, ...]:
    """The GPUs with this share of their free memory gone: llama.cpp splits layers that way."""
    return tuple(
        gpu._replace(free_bytes=gpu.free_bytes - round(gpu.free_bytes * share)) for gpu in gpus
    )


def _named_by_catalog(entry: CatalogEntry | None) -> str:
    if entry is not None and entry.draft is not None:
        return entry.draft
    model = entry.name if entry else "this model"
    raise UnavailableError(
        f"--draft auto: the catalog names no draft model for {model}",
        hint="give --draft the name or the GGUF file of a smaller model with the same vocabulary, "
        "or leave it out (--no-drafts)",
        reference="no-draft-known",
    )


def _checked_shape(gguf: GgufFile) -> TextShape:
    """Raises: GgufError: no text model, or not one whose memory can be planned."""
    if is_mmproj(gguf):
        raise GgufError(
            f"{gguf.path.name} is a vision projector (mmproj), which makes no drafts",
            hint="give --draft the model that it belongs to",
            reference="mmproj-as-draft",
        )
    if not gguf.architecture:
        raise damaged(gguf, "its metadata has no general.architecture")
    shape = read_shape(gguf)
    if shape.head_dim < 1:
        raise damaged(gguf, f"{shape.n_head} heads can't share {shape.n_embd} numbers")
    matrix(gguf, "token_embd.weight", shape.n_embd, shape.n_vocab)
    return shape
