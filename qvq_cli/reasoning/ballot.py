"""Counting votes: who leads, and whether the chains still out could change that.

    the leader   has the most votes; of two that have as many, the one that had them first
    decided      when every other answer, with all the votes still out, would not pass the leader

So a vote is decided as soon as it can't end otherwise, and the order in which chains end, which
depends on their tokens alone, settles every tie.

Source: Wang et al. 2022, "Self-Consistency Improves Chain of Thought Reasoning in Language Models"
(the unweighted majority, as good there as weighted ones).
"""

from qvq_cli.reasoning.answer_key import AnswerKey, answer_key
from qvq_cli.reasoning.events import Answer, Count


class Ballot:
    """The votes of n_chains chains."""

    def __init__(self, n_chains: int) -> None:
        self._n_out = n_chains
        self._voters: dict[AnswerKey, list[int]] = {}
        self._texts: dict[AnswerKey, str] = {}
        self._leader: AnswerKey | None = None

    def cast(self, chain: int, answer: Answer | None) -> None:
        """Count a chain that has ended; once for each. No answer is no vote."""
        self._n_out -= 1
        if answer is None:
            return
        key = answer_key(answer)
        self._voters.setdefault(key, []).append(chain)
        self._texts.setdefault(key, answer.text)
        if self._leader is None or len(self._voters[key]) > len(self._voters[self._leader]):
            self._leader = key

    @property
    def is_decided(self) -> bool:
        others = (len(voters) for key, voters in self._voters.items() if key != self._leader)
        return self._n_out == 0 or self.agreed >= max(others, default=0) + self._n_out

    @property
    def winner(self) -> int | None:
        """The chain that gave the leading answer first; None while there is none."""
        return None if self._leader is None else self._voters[self._leader][0]

    @property
    def agreed(self) -> int:
        """Votes for the leading answer."""
        return 0 if self._leader is None else len(self._voters[self._leader])

    @property
    def counts(self) -> tuple[Count, ...]:
        """Every answer with its votes, the leader first, then by votes and by when they came."""
        keys = sorted(self._voters, key=lambda key: (key != self._leader, -len(self._voters[key])))
        return tuple(Count(self._texts[key], len(self._voters[key])) for key in keys)
