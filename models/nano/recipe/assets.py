"""Collects what pictures are made of from Debian packages: fonts, photographs and words.

    python -m recipe.assets OUT      (on Debian: runs `apt-get download` and unpacks, installs
    nothing)

Fonts are cut down to the characters that the recipe writes, photographs to 360 px, so that the
whole fits in a
few megabytes. Some font families and some photographs are held out for evaluation.
"""

import argparse
import io
import json
import random
import re
import subprocess
import tempfile
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image, UnidentifiedImageError

from recipe.words import CHINESE_WORDS

PACKAGES = (
    "fonts-liberation fonts-freefont-ttf fonts-dejavu-core fonts-dejavu-extra fonts-open-sans "
    "fonts-roboto-unhinted fonts-lato fonts-stix fonts-linuxlibertine fonts-lmodern "
    "fonts-cantarell fonts-hack "
    "fonts-firacode fonts-inconsolata fonts-crosextra-carlito fonts-crosextra-caladea "
    "fonts-texgyre "
    "fonts-urw-base35 fonts-croscore fonts-jetbrains-mono fonts-ebgaramond "
    "fonts-quicksand fonts-play "
    "fonts-cmu fonts-sil-charis fonts-vollkorn fonts-comic-neue fonts-noto-mono fonts-adf-gillius "
    "fonts-karla fonts-roboto-slab fonts-dosis fonts-cabin fonts-wqy-zenhei fonts-wqy-microhei "
    "fonts-arphic-ukai fonts-arphic-uming fonts-noto-core fonts-inter fonts-sil-andika "
    "fonts-sil-gentium-basic fonts-clear-sans fonts-oxygen fonts-opendin fonts-osifont "
    "fonts-paratype fonts-go fonts-manrope fonts-sora fonts-comfortaa fonts-jura fonts-mplus "
    "fonts-quattrocento fonts-yanone-kaffeesatz fonts-averia-serif-gwf fonts-arapey fonts-cardo "
    "fonts-oldstandard fonts-gfs-didot fonts-gfs-artemisia fonts-adf-baskervald fonts-adf-berenis "
    "fonts-adf-libris fonts-adf-romande fonts-adf-tribun fonts-adf-universalis fonts-adf-verana "
    "fonts-adf-accanthis fonts-essays1743 fonts-fanwood fonts-goudybookletter fonts-lindenhill "
    "fonts-prociono fonts-junction fonts-3270 fonts-agave fonts-hermit fonts-mononoki "
    "fonts-fantasque-sans fonts-league-mono "
    "mate-backgrounds gnome-backgrounds tuxpaint-stamps-default stellarium-data "
    "gcompris-qt-data wamerican-small"
)

_TRAIN = (
    "LiberationSans LiberationSerif LiberationMono LiberationSansNarrow FreeSans "
    "FreeSerif FreeMono DejaVuSans "
    "DejaVuSerif DejaVuSansMono DejaVuSansCondensed OpenSans Roboto RobotoCondensed "
    "RobotoSlab Lato STIX "
    "STIXGeneral LinLibertine LinBiolinum lmroman10 lmroman12 lmsans10 lmmono10 "
    "FiraCode Inconsolata Caladea "
    "texgyretermes texgyreheros texgyreschola texgyrebonum texgyreadventor "
    "texgyrecursor NimbusSans NimbusRoman "
    "C059 URWGothic Arimo Tinos Cousine JetBrainsMono Quicksand cmunrm cmunss cmuntt "
    "cmunti cmunbx CharisSIL "
    "Vollkorn ComicNeue NotoSansMono GilliusADF Karla Dosis NotoSans NotoSerif Inter Andika "
    "GenBasR ClearSans Oxygen OxygenMono OSP osifont PTS55F PTF55F PTM55F Go Manrope Sora "
    "Comfortaa Jura Mplus1 Mplus1Code Quattrocento YanoneKaffeesatz AveriaSerifGWF Arapey "
    "Cardo104s OldStandard GFSDidot GFSArtemisia BaskervaldADFStd BerenisADFPro LibrisADFStd "
    "RomandeADFStd TribunADFStd UniversalisADFStd Verana VeranaSans"
)
_TRAIN_RARE = (
    "AccanthisADFStd Essays1743 FanwoodText GoudyBookletter1911 LindenHill Prociono Junction 3270 "
    "agave Hermit mononoki FantasqueSansMono LeagueMono Vollkorn FiraCode Inconsolata"
)
"""Old-style digits and zeros with a dot or a stroke, misread most; some are named twice."""

_HELD_OUT = (
    "Carlito Cantarell Hack EBGaramond12 texgyrepagella P052 URWBookman Play Cabin NimbusMonoPS"
)
_UPRIGHT = ("", "Regular", "regular", "R", "Medium", "Book", "Roman", "10-regular")
_PLAIN = "".join(map(chr, range(32, 127)))
_FANCY = "−–′’·×÷°∠√²³€£△▲…“”"
_PHOTO_FOLDERS = {
    "train": (
        "backgrounds/mate",
        "backgrounds/gnome",
        "stamps/animals",
        "stamps/town",
        "stamps/food",
        "stamps/plants",
        "stamps/vehicles",
        "stamps/household",
        "stellarium/nebulae",
        "stellarium/landscapes",
        "gcompris",
    ),
    "held_out": ("stamps/clothes", "stamps/sports", "stamps/hobbies", "stamps/seasonal"),
}
_N_PHOTOS = {"train": 420, "held_out": 60}
_N_PER_FOLDER = 70
_PHOTO_PX = 360


def download(folder: Path) -> None:
    """Fetch and unpack PACKAGES below folder.

    Raises: CalledProcessError: a package is not to be had.
    """
    for package in PACKAGES.split():
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
    for archive in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(archive), str(folder / "unpacked")], check=True)


def _family(path: Path) -> str:
    stem = path.stem
    match = re.match(r"(Free(?:Sans|Serif|Mono))", stem)
    return match.group(1) if match else re.split(r"[-_]", stem)[0]


def _style(path: Path) -> str:
    return (
        re.sub(r"^[A-Za-z0-9]+?(Free\w+?)?[-_]", "", path.stem)
        if re.search("[-_]", path.stem)
        else ""
    )


def _cut(source: Path, target: Path, text: str) -> frozenset[str]:
    """Write the part of a font that draws text. Returns: the characters it has."""
    options = subset.Options(
        layout_features=[], notdef_outline=True, hinting=True, drop_tables=["GSUB", "GPOS", "DSIG"]
    )
    font = TTFont(source, fontNumber=0, lazy=True)
    have = frozenset(text) & frozenset(map(chr, font.getBestCmap()))
    if not frozenset(_PLAIN) <= have and target.suffix != ".ttc":
        return frozenset()
    cutter = subset.Subsetter(options)
    cutter.populate(text="".join(sorted(have)))
    cutter.subset(font)
    font.flavor = None
    font.save(target)
    return have


def collect_fonts(unpacked: Path, out: Path) -> None:
    """Cut the fonts of _TRAIN and _HELD_OUT and write fonts.json."""
    families: dict[str, list[Path]] = {}
    for path in sorted(unpacked.rglob("*.[to]tf")):
        families.setdefault(_family(path), []).append(path)
    glyphs: dict[str, str] = {}
    shelves: dict[str, list[list[str]]] = {"train": [], "held_out": []}
    for shelf, names in (("train", f"{_TRAIN} {_TRAIN_RARE}"), ("held_out", _HELD_OUT)):
        for name in names.split():
            paths = sorted(
                families.get(name, []), key=lambda p: (_style(p) not in _UPRIGHT, p.name)
            )
            files = []
            for path in paths[:5]:
                try:
                    have = _cut(path, out / path.name, _PLAIN + _FANCY)
                except (TTLibError, subset.Subsetter.SubsettingError):
                    continue
                if have:
                    glyphs[path.name] = "".join(sorted(have))
                    files.append(path.name)
            if files:
                shelves[shelf].append(files)
    chinese = []
    characters = "".join(sorted(set("".join(CHINESE_WORDS)))) + _PLAIN
    for path in sorted(unpacked.rglob("*.ttc")):
        name = f"{path.stem}.ttf"
        have = _cut(path, out / name, characters)
        if have:
            glyphs[name] = "".join(sorted(have))
            chinese.append(name)
    index = {**shelves, "chinese": chinese, "glyphs": glyphs}
    (out / "fonts.json").write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")


def _small(path: Path) -> bytes | None:
    """A photograph as a small JPEG on white; None when it is none."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (720, 720))
            rgba = image.convert("RGBA")
    except (UnidentifiedImageError, OSError):
        return None
    if min(rgba.size) < 90:
        return None
    rgba.thumbnail((_PHOTO_PX, _PHOTO_PX))
    page = Image.new("RGBA", rgba.size, "white")
    page.alpha_composite(rgba)
    buffer = io.BytesIO()
    page.convert("RGB").save(buffer, "JPEG", quality=78)
    return buffer.getvalue()


def collect_photos(unpacked: Path, out: Path) -> None:
    """Shrink photographs into out/train and out/held_out."""
    rng = random.Random(3)
    for shelf, folders in _PHOTO_FOLDERS.items():
        (out / shelf).mkdir(parents=True, exist_ok=True)
        pictures = [
            path
            for path in sorted(unpacked.rglob("*"))
            if path.suffix in {".jpg", ".jpeg", ".png", ".webp"} and path.stat().st_size > 8000
        ]
        found = []
        for folder in folders:
            here = [path for path in pictures if folder in str(path)]
            found += rng.sample(here, min(len(here), _N_PER_FOLDER))
        rng.shuffle(found)
        n_kept = 0
        for path in found:
            data = _small(path)
            if data and n_kept < _N_PHOTOS[shelf]:
                (out / shelf / f"{n_kept:03d}.jpg").write_bytes(data)
                n_kept += 1


def collect_words(unpacked: Path, out: Path) -> None:
    """Common English words of three to nine letters."""
    lines = (unpacked / "usr/share/dict/american-english-small").read_text(encoding="utf-8")
    words = [w for w in lines.split() if re.fullmatch("[a-z]{3,9}", w)]
    random.Random(4).shuffle(words)
    out.write_text("\n".join(sorted(words[:9000])), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--unpacked", type=Path, help="packages that are unpacked already")
    args = parser.parse_args()
    (args.out / "fonts").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        unpacked = args.unpacked
        if unpacked is None:
            download(Path(scratch))
            unpacked = Path(scratch) / "unpacked"
        collect_fonts(unpacked, args.out / "fonts")
        collect_photos(unpacked, args.out / "photos")
        collect_words(unpacked, args.out / "words.txt")


if __name__ == "__main__":
    main()
