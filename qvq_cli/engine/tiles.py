"""Where llama.cpp multiplies in tiles, and how many tokens are then best run at once.

On x86 K quants and most IQ quants, unless they were repacked, are multiplied with each token by
itself up to seven tokens a pass, and from eight on in tiles of 16 (ggml-cpu/tiled). A tile rounds
otherwise, which soon chooses another word: asked again in passes of up to 48, nano changed 7 of 36
texts with its weights in Q6_K and 8 in Q4_K. Without AVX512-VNNI a pass of eight takes 6.7 to 10
times as long as a single one, when one of seven takes 3.7 to 4.8 (the shaped 2B and 7B; a Zen 3
with two threads, a Xeon with up to 16); with it the two take 4.2 to 5.2 and 3.7 to 4.6. At 14 a
tile and two passes take the same.

An output matrix in Q6_K below weights of another kind, as in Q4_0 files, is not counted here: its
rounding goes through no further layer.
"""

import re
from typing import NamedTuple

N_UNTILED = 7
"""As many tokens a pass are multiplied one by one."""
_TILED = re.compile(r"Q\d_K|IQ(?!4_NL)")


class Tiles(NamedTuple):
    """Whether weights are multiplied in tiles, and whether a small tile takes longer than two
    passes without.
    """

    are_used: bool = False
    are_slow: bool = False

    @classmethod
    def of(cls, quant: str, system_info: str) -> "Tiles":
        """Those of weights on the CPU that were not repacked.

        Args:
            quant: as llama_ftype_name says it ("Q4_K - Medium").
            system_info: llama_print_system_info's, of what llama.cpp was compiled for.
        """
        are_used = bool(_TILED.search(quant)) and "AVX = 1" in system_info
        return cls(are_used, are_used and "AVX512_VNNI = 1" not in system_info)

    def split(self, n: int) -> tuple[int, ...]:
        """The passes that take the least time for n tokens."""
        if n == 0:
            return ()
        if self.are_slow and N_UNTILED < n <= 2 * N_UNTILED:
            return N_UNTILED, n - N_UNTILED
        return (n,)
