"""What chains say: together, and each alone."""

from collections.abc import Sequence
from contextlib import closing

from conftest import no_progress
from qvq_cli.engine.protocol import Engine, PromptPart, Reserve, Sampling, chain_seed

ALONE = Reserve(100, 900)
Texts = dict[int, list[int]]


def say(engine: Engine, texts: Texts, chains: Sequence[int], n: int, n_ahead: int = 0) -> int:
    """Let chains say n tokens each, of n_ahead more that the engine is asked for.

    Returns: the rounds that came; fewer where all chains ended.
    """
    n_rounds = 0
    with closing(engine.decode_chains(chains, n + n_ahead)) as rounds:
        for said in rounds:
            n_rounds += 1
            for chain, piece in said:
                texts[chain].append(piece.token)
            if n_rounds == n:
                break
    return n_rounds


def say_alone(
    engine: Engine, prompt: Sequence[PromptPart], sampling: Sampling, chain: int, n: int
) -> list[int]:
    """The slow path: one chain in a context of its own."""
    own = sampling._replace(seed=chain_seed(sampling.seed, chain))
    engine.prefill(prompt, ALONE, own, no_progress)
    return [piece.token for piece in engine.decode(n)]
