"""The headers of GGUF files that are still on the Hub: whether a pair fits, before 50 GB are moved.

Fetches only the first megabytes of a file, and keeps them: a pull begins with them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from qvq_cli.errors import GgufError, InputNotFoundError, UnavailableError
from qvq_cli.hub.gguf import GgufFile
from qvq_cli.hub.gguf_header import Header, ShortError, parse_header
from qvq_cli.hub.listing import RemoteModel, is_mmproj_name, mmproj_candidates
from qvq_cli.hub.pair import pair_with_best
from qvq_cli.hub.remote_types import RemoteFile, Repository
from qvq_cli.hub.vision_model import is_mmproj

ReadRange = Callable[[RemoteFile, int, int], bytes]
"""Bytes start..end of a file of the repository at hand."""

_FIRST_READ_BYTES = 256 << 10
_MAX_HEADER_BYTES = 256 << 20
_LARGEST_MMPROJ_BYTES = 4_000_000_000  # an f32 one of the largest encoder has 2.8 GB
_MOST_PEEKS = 24


class Heads:
    """The first bytes of a repository's files, as far as they were needed.

    Args: url_of: where a file is, by its name; folder: where to keep the bytes while pairs are
        compared, one of its own.
    """

    def __init__(self, read_range: ReadRange, url_of: Callable[[str], str], folder: Path):
        self._read_range = read_range
        self.url_of = url_of
        self._folder = folder
        self.bytes_of: dict[str, bytes] = {}

    def model(self, model: RemoteModel) -> GgufFile:
        """The header of a model, of all of its parts where gguf-split made them.

        Raises: GgufError: it is none. TransferError and its like: the Hub's part.
        """
        if model.is_cut:
            return self._gguf(model.name, model.parts[:1], model.n_bytes)
        return self._gguf(model.parts[0].name, model.parts)

    def mmproj(self, file: RemoteFile) -> GgufFile:
        return self._gguf(file.name, [file])

    def _gguf(self, name: str, files: Sequence[RemoteFile], n_bytes: int | None = None) -> GgufFile:
        headers = [self._header(file, n_bytes or file.n_bytes) for file in files]
        path = self._folder.joinpath(*name.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.bytes_of[files[0].name])
        tensors = {key: tensor for each in headers for key, tensor in each.tensors.items()}
        first = headers[0]
        return GgufFile(path, (path,), first.version, first.metadata, first.value_types, tensors)

    def _header(self, file: RemoteFile, n_bytes: int) -> Header:
        n_wanted = _FIRST_READ_BYTES
        while True:
            head = self._head(file, n_wanted)
            if not head.startswith(b"GGUF"):
                raise GgufError(
                    f"{file.name} on the Hub is not a GGUF file",
                    hint="choose another repository",
                    reference="not-gguf",
                )
            try:
                return parse_header(head, file.name, n_bytes)
            except ShortError:
                if len(head) >= min(file.n_bytes, _MAX_HEADER_BYTES):
                    raise GgufError(
                        f"{file.name} on the Hub is damaged: its header doesn't end",
                        hint="choose another repository, or another quant",
                        reference="truncated-gguf",
                    ) from None
                n_wanted = len(head) * 4

    def _head(self, file: RemoteFile, n_wanted: int) -> bytes:
        head = self.bytes_of.get(file.name, b"")
        end = min(n_wanted, file.n_bytes)
        if len(head) < end:
            head += self._read_range(file, len(head), end)
            self.bytes_of[file.name] = head
        return head


def find_mmproj(repository: Repository, model: RemoteModel, heads: Heads) -> RemoteFile:
    """The mmproj of a model in its repository: of those that fit, the one that suits it best.

    Files that are named as one are looked at first; where there are none, all that are small
    enough to be one. Raises: UnavailableError: there is none. GgufError: none fits.
    """
    named = mmproj_candidates(repository)
    files = named or _unnamed_candidates(repository, model, heads)
    found = {heads.mmproj(file).path: file for file in files}
    gguf = heads.model(model)
    try:
        pair = pair_with_best(gguf, list(found), read=lambda path: heads.mmproj(found[path]))
    except InputNotFoundError:
        raise UnavailableError(
            f"{repository.repo} has no mmproj, without which {model.name} can't see",
            hint="find the repository with the mmproj of the same model, download both files, then "
            "`qvq import MODEL.gguf --mmproj MMPROJ.gguf`",
            reference="no-mmproj",
        ) from None
    return found[pair.mmproj.path]


def _unnamed_candidates(
    repository: Repository, model: RemoteModel, heads: Heads
) -> list[RemoteFile]:
    """Files that say in their metadata that they are an mmproj."""
    parts = {part.name for part in model.parts}
    small = [
        file
        for file in repository.files.values()
        if file.name.lower().endswith(".gguf")
        and file.name not in parts
        and not is_mmproj_name(file.name)
        and 0 < file.n_bytes < _LARGEST_MMPROJ_BYTES
    ]
    small.sort(key=lambda file: file.n_bytes)
    return [file for file in small[:_MOST_PEEKS] if is_mmproj(heads.mmproj(file))]
