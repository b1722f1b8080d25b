"""Whether llama.cpp is to rewrite ("repack") the weights for this CPU while it reads them.

That copies every byte on one core, each time: 20 minutes for 111 billion parameters have been seen
(llama.cpp issue 12759).
"""

from qvq_cli.hub.memory import cpu_has_amx, cpu_is_x86

_FASTER_ON_X86 = ("Q4_0", "IQ4_NL", "MXFP4")
"""K and most IQ quants have a product of their own there (ggml-cpu/tiled), which repacking keeps
them from. Repacked, Q4_K reads a prompt at 0.8 of its speed and decodes at 1.08 of it on a Zen 3
(AVX2, two cores; the shaped 2B), at 0.65 and 0.9 on a Sapphire Rapids (AVX-512, eight cores; the
shaped 7B). Q4_0 does at 1.45 and 1.26, IQ4_NL at 1.52 and 1.36 on the Zen 3; MXFP4, untried, has no
tiled product either."""


def repacks(typed: bool | None, quant: str) -> bool:
    """As typed, else where it makes llama.cpp faster; never with AMX.

    llama.cpp built with gcc 12 segfaults in its AMX code (llama.cpp issue 20824).
    Args: quant: what most of the weights are in, such as "Q4_K_M".
    """
    is_wanted = quant in _FASTER_ON_X86 or not cpu_is_x86() if typed is None else typed
    return is_wanted and not cpu_has_amx()
