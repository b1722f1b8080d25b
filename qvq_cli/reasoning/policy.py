"""How far a run may go: what is decided before the model is loaded, and the room that it takes."""

from typing import NamedTuple

from qvq_cli.engine.protocol import Reserve, Sampling
from qvq_cli.reasoning.budget import ThinkingBudget
from qvq_cli.reasoning.look_again import LookAgain

N_CONCLUSION = 32
"""KV cells kept for the appended boundary."""
N_THINKING_UNBOUNDED = 8192
"""Tokens of room for thinking that only a clock limits: what QVQ's makers allowed in their tests.

Source: VLMEvalKit, vlmeval/config.py, max_new_tokens of QVQ-72B-Preview.
"""


class Policy(NamedTuple):
    """How far the model may go, and how often it looks at its pictures again: each of n_chains,
    which vote where there are several."""

    budget: ThinkingBudget
    max_answer_tokens: int
    sampling: Sampling
    looks: LookAgain | None = None
    n_chains: int = 1

    @property
    def reserve(self) -> Reserve:
        """KV cells to keep free after the prompt: for an answer always, at best for thinking and
        its looks."""
        n_answer = self.max_answer_tokens + N_CONCLUSION
        n_looking = self.n_looks * self.looks.n_cells if self.looks else 0
        return Reserve(n_answer, n_answer + self.n_thinking + n_looking, self.n_chains)

    @property
    def n_thinking(self) -> int:
        """KV cells that thinking takes at most."""
        n_thinking = self.budget.reserve_tokens
        return N_THINKING_UNBOUNDED if n_thinking is None else n_thinking

    @property
    def n_looks(self) -> int:
        """Looks that may come due while it thinks."""
        if self.looks is None:
            return 0
        n_thinking = self.budget.max_tokens
        return self.looks.n_looks(N_THINKING_UNBOUNDED if n_thinking is None else n_thinking)
