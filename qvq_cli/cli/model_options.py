"""The options that the commands about models share: name and help, once each."""

from pathlib import Path
from typing import Annotated

import typer

_NAMES = "a name from [cyan]qvq models[/], [cyan]NAME:QUANT[/] or [cyan]hf:OWNER/REPO:QUANT[/]"

Wanted = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help=f"{_NAMES[0].upper()}{_NAMES[1:]}. Default: QVQ, in the best quant that fits.",
        show_default=False,
    ),
]
Installed = Annotated[
    str,
    typer.Argument(metavar="MODEL", help=f"An installed model: {_NAMES}.", show_default=False),
]
Known = Annotated[
    str, typer.Argument(metavar="MODEL", help=f"Any model: {_NAMES}.", show_default=False)
]
Checked = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL", help="An installed model. Default: all of them.", show_default=False
    ),
]
Planned = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help=f"{_NAMES[0].upper()}{_NAMES[1:]}, or FILE.gguf; it need not be installed. "
        "Default: the one that solve would use.",
        show_default=False,
    ),
]
Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...",
        help="The model's GGUF and its mmproj, or the folder they are in. Of a split model one "
        "part is enough if the others lie beside it.",
        show_default=False,
        readable=False,  # the importer says what can't be read, and ends with its own code
    ),
]
Mmproj = Annotated[
    Path | None,
    typer.Option(
        "--mmproj",
        metavar="FILE",
        help="The model's mmproj, where its name doesn't say that it is one.",
        show_default=False,
        readable=False,
    ),
]

Quant = Annotated[
    str | None,
    typer.Option(
        "--quant",
        metavar="QUANT",
        help="The quantization, such as [cyan]Q4_K_M[/]; [cyan]qvq show MODEL[/] lists them.",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be downloaded, and download nothing.")
]
To = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="DIR",
        help="Put plain files into this folder (a USB stick) instead of the Hugging Face cache.",
        show_default=False,
        readable=False,
    ),
]
PrintUrls = Annotated[
    bool,
    typer.Option(
        "--print-urls", help="Print the addresses of the files, for another download program."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Repair = Annotated[bool, typer.Option("--repair", help="Get broken files again without asking.")]
Copy = Annotated[
    bool,
    typer.Option(
        "--copy/--link",
        help="Copy the files (what is on a stick goes away with it), or use them where they are.",
    ),
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Don't try to reach the Hugging Face Hub; also HF_HUB_OFFLINE."),
]
