"""Asks nano through the program's own engine, on real llama.cpp, greedy."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.protocol import Bitmap, LoadSpec, Reserve, Sampling
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect

N_MAX = 640
_SYSTEM = catalog_entry("nano").profile.system


class Asker:
    """One loaded GGUF pair."""

    def __init__(self, folder: Path, quant: str = "q8_0") -> None:
        spec = LoadSpec(
            model_path=str(folder / f"nano-{quant}.gguf"),
            mmproj_path=str(folder / f"mmproj-nano-{quant}.gguf"),
            n_threads=1,
            n_gpu_layers=0,
            repack=False,
        )
        self._engine = LlamaEngine()
        self._engine.load(spec, _ignore)

    def ask(
        self, question: str, pictures: Sequence[NDArray[np.uint8]], said: str | None = None
    ) -> str:
        """The reply about pictures (height, width, 3), snapped to the grid already.

        said: what is put into the model's mouth before it goes on; only what follows is returned.
        """
        bitmaps = [
            Bitmap(p.shape[1], p.shape[0], np.ascontiguousarray(p).tobytes()) for p in pictures
        ]
        parts = build_prompt(_SYSTEM, bitmaps, question, Dialect.HEADING)
        n_said = 0 if said is None else len(said)
        self._engine.prefill(parts, Reserve(64, N_MAX + n_said), Sampling(), _ignore)
        if said:
            self._engine.append(said)
        data = b"".join(piece.data for piece in self._engine.decode(N_MAX) if not piece.is_eog)
        return data.decode("utf-8", "replace")


def _ignore(stage: str, share: float) -> None:
    """Nobody watches."""
