"""`--save FILE`: a record of one run that needs nothing but itself, as Markdown, HTML or JSON.

The path is checked before the run: nobody wants to learn after it that a folder is missing.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from qvq_cli.errors import UsageError
from qvq_cli.reasoning.events import Record
from qvq_cli.ui.json import dump, result_object
from qvq_cli.ui.pictures import Picture
from qvq_cli.ui.save_html import to_html
from qvq_cli.ui.save_markdown import to_markdown
from qvq_cli.ui.whole_file import check_writable, write_whole

_OPTION = "--save"
Render = Callable[[Record, Sequence[Picture]], str]


def check_save_path(path: Path) -> None:
    """Would `save_record` succeed? Leaves nothing behind.

    Raises: UsageError: not .md, .html or .json. CannotWriteError: no such folder, not writable.
    """
    if path.suffix.lower() not in _RENDERERS:
        raise UsageError(
            f"--save can't write '{path}': a record is Markdown, HTML or JSON",
            hint=f"name it {path.with_suffix('.html') if path.name else path / 'run.html'}"
            " (or .md, .json)",
            reference="save-format",
        )
    check_writable(path, _OPTION)


def save_record(path: Path, record: Record, pictures: Sequence[Picture]) -> None:
    """Write the record in the format that the suffix names, replacing what was there.

    Raises: CannotWriteError: disk full, no permission; FILE is then as it was before.
    """
    write_whole(path, _RENDERERS[path.suffix.lower()](record, pictures), _OPTION)


def _json(record: Record, pictures: Sequence[Picture]) -> str:
    embedded = [{"name": picture.name, "data_uri": picture.data_uri()} for picture in pictures]
    return dump({**result_object(record), "pictures": embedded}) + "\n"


_RENDERERS: dict[str, Render] = {".md": to_markdown, ".html": to_html, ".json": _json}
