"""What drafts are worth on QVQ's own reasoning, where a batch costs what it was measured to cost.

How often the tokens behind a match came true was counted on QVQ's four published transcripts (5,829
tokens of its own vocabulary), always drafting the same number of tokens behind every match of some
length. `Drafter` chooses for each match anew and pays for trials, so it comes out close to this.
"""

from collections.abc import Mapping
from typing import NamedTuple

N_DRAFTS = (1, 2, 3, 5, 7)
COUNTED: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((1.326, 0.773), (1.464, 0.750), (1.532, 0.738), (1.611, 0.725), (1.643, 0.719)),
    2: ((1.249, 0.456), (1.350, 0.413), (1.402, 0.390), (1.461, 0.364), (1.481, 0.355)),
    3: ((1.176, 0.295), (1.245, 0.254), (1.283, 0.231), (1.322, 0.208), (1.334, 0.200)),
    4: ((1.116, 0.172), (1.165, 0.143), (1.195, 0.129), (1.216, 0.114), (1.227, 0.109)),
    6: ((1.053, 0.075), (1.073, 0.061), (1.088, 0.055), (1.101, 0.050), (1.108, 0.046)),
    10: ((1.016, 0.021), (1.023, 0.015), (1.028, 0.014), (1.032, 0.012), (1.036, 0.011)),
}
"""Tokens that agree at least -> for each of N_DRAFTS: tokens a pass, share of passes with a draft.

Source: NgramIndex.find on the transcripts' tokens, with the question before them.
"""


class DraftGain(NamedTuple):
    """How much faster decoding gets: speed times gain. 1.0, 0, 0 where drafts don't pay."""

    gain: float
    n_draft: int
    n_match: int


def draft_gain(batch_s: Mapping[int, float]) -> DraftGain:
    """The best that drafts of one length can do.

    gain = tokens a pass / (share of plain passes + share with a draft * its cost), where the cost
    is that of a batch of n_draft + 1 against a single token.

    Args: batch_s: seconds of a pass by the tokens in its batch; 1 must be there.
    """
    best = DraftGain(1.0, 0, 0)
    for n_match, rows in COUNTED.items():
        for n_draft, (tokens_per_pass, share) in zip(N_DRAFTS, rows, strict=True):
            if n_draft + 1 in batch_s:
                cost = batch_s[n_draft + 1] / batch_s[1]
                gain = tokens_per_pass / (1.0 - share + share * cost)
                best = max(best, DraftGain(gain, n_draft, n_match))
    return best
