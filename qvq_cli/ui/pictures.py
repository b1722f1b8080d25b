"""A picture as a saved record embeds it."""

import base64
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Picture:
    """name: what was typed. mime, data: in a format that browsers show (so not HEIC or PDF)."""

    name: str
    mime: str
    data: bytes

    def data_uri(self) -> str:
        return f"data:{self.mime};base64,{base64.b64encode(self.data).decode('ascii')}"
