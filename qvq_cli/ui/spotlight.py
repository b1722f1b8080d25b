"""Of several chains, the one whose reasoning is shown: the first that is still running.

All think at once, and nobody reads eight texts that grow together. What the others say is in
--json, --jsonl and --save.
"""

from collections.abc import Iterator
from typing import NamedTuple

from qvq_cli.reasoning.events import AnswerDelta, Event, InChain, ReasoningDelta, Voted


class Shown(NamedTuple):
    """From here on another chain is shown, which has thought for reasoning_tokens."""

    chain: int
    n_chains: int
    reasoning_tokens: int


class Spotlight:
    """Chooses what of a run is told as it goes; a run of one chain passes unchanged.

    A chain's answer is told by its vote and not as it comes.
    """

    def __init__(self) -> None:
        self._shown = 0
        self._ended: set[int] = set()
        self._reasoning_tokens: dict[int, int] = {}

    def follow(self, event: Event) -> Iterator[Event | Shown]:
        """Returns: what a narrator is to tell of this event."""
        if isinstance(event, InChain):
            if isinstance(event.event, ReasoningDelta):
                self._reasoning_tokens[event.chain] = event.event.reasoning_tokens
            if event.chain == self._shown and not isinstance(event.event, AnswerDelta):
                yield event.event
            return
        yield event
        if isinstance(event, Voted) and not event.is_decided:
            yield from self._move_on(event)

    def _move_on(self, event: Voted) -> Iterator[Shown]:
        self._ended.add(event.chain)
        running = (i for i in range(event.n_chains) if i not in self._ended)
        if self._shown in self._ended and (chain := next(running, None)) is not None:
            self._shown = chain
            yield Shown(chain, event.n_chains, self._reasoning_tokens.get(chain, 0))
