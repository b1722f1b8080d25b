"""The user's own catalog entries: used like ours, and every slip in them is told."""

import os
import tomllib
from pathlib import Path

import pytest

from qvq_cli.errors import ConfigError
from qvq_cli.hub.catalog import (
    catalog_entry,
    catalog_names,
    load_catalog,
    models_dir,
    user_catalog_dir,
)
from qvq_cli.hub.catalog_schema import __doc__ as schema_doc
from qvq_cli.hub.catalog_schema import check_entry

GOOD = """
name = "my-vl"
title = "My VL"
repo = "me/My-VL-GGUF"
kv_bytes_per_token = 57344
default_quant = "Q4_K_M"
[profile]
dialect = "plain"
[mmproj]
name = "mmproj-f16.gguf"
[[quants.Q4_K_M]]
name = "My-VL-Q4_K_M.gguf"
"""


def write(text: str, name: str = "my-vl") -> Path:
    folder = user_catalog_dir(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("path", sorted((models_dir() / "catalog").glob("*.toml")), ids=str)
def test_our_own_entries_keep_the_rules(path: Path) -> None:
    table = tomllib.loads(path.read_text("utf-8"))
    check_entry({"repo": "none/nano", **table}, path.name, path.stem, catalog_names())


def test_an_entry_of_ones_own() -> None:
    write(GOOD)
    assert "my-vl" in catalog_names()
    entry = catalog_entry("my-vl")
    assert entry in load_catalog()
    assert (entry.licence, entry.about_bytes("Q4_K_M"), entry.shape) == ("not stated", None, None)
    assert entry.profile.limits.image_tokens_min == 1024


def test_the_example_in_the_documentation_is_one() -> None:
    assert schema_doc
    example = schema_doc.partition("# ~/.config/qvq/catalog/my-vl.toml")[2]
    write("\n".join(line.strip() for line in example.splitlines()))
    assert catalog_entry("my-vl").repo == "me/My-VL-GGUF"


def test_a_changed_entry_is_read_again() -> None:
    path = write(GOOD)
    assert catalog_entry("my-vl").title == "My VL"
    write(GOOD.replace("My VL", "Mine"))
    os.utime(path, (1, 1))
    assert catalog_entry("my-vl").title == "Mine"


def test_ours_can_be_replaced_but_not_nano() -> None:
    ours = catalog_entry("qvq-72b-preview")
    write(GOOD.replace("my-vl", "qvq-72b-preview"), "qvq-72b-preview")
    write(GOOD.replace("my-vl", "nano"), "nano")
    assert catalog_entry("qvq-72b-preview").repo == "me/My-VL-GGUF" != ours.repo
    assert catalog_entry("nano").repo is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "x = 1\n", "there is no x in a catalog entry"),
        ('title = "My VL"', "", "title is missing"),
        ('name = "my-vl"', 'name = "other"', "name must be the file's own, 'my-vl'"),
        ("57344", '"many"', "kv_bytes_per_token must be a whole number above 0"),
        ("57344", "true", "kv_bytes_per_token must be a whole number above 0"),
        ("me/My-VL-GGUF", "My-VL", "repo must be OWNER/REPO"),
        ('"plain"', '"tags"', "profile.dialect must be one of heading, think-tags, plain"),
        ("[mmproj]", "[sampling]\ntop_x = 1\n[mmproj]", "there is no sampling.top_x"),
        ("[mmproj]", "[sampling]\ntop_p = -1\n[mmproj]", "sampling.top_p must be a number"),
        ("[mmproj]", "[image]\npatch_px = 0\n[mmproj]", "image.patch_px must be a whole"),
        ('"mmproj-f16.gguf"', '"../x.gguf"', "mmproj.name must be the path of a GGUF"),
        ('"mmproj-f16.gguf"', '"x.gguf"\nsha256 = "12"', "mmproj.sha256 must be 64"),
        ('"mmproj-f16.gguf"', '"x.gguf"\nbytes = 1\ngigabytes = 1', "gigabytes must be left out"),
        ("[[quants.Q4_K_M]]", "[quants.Q4_K_M]", "quants.Q4_K_M must be a list of files"),
        ("[[quants.Q4_K_M]]", "[[quants.q4]]", "quants.q4 must be named in capitals"),
        ('default_quant = "Q4_K_M"', 'default_quant = "Q8_0"', "default_quant must be one of"),
        ("[mmproj]", "[shape.text]\nn_layer = 1\n[mmproj]", "shape.text.architecture must be"),
        ("[profile]", 'draft = "no-such"\n[profile]', "draft must be another name of the catalog"),
        ("[profile]", 'draft = "my-vl"\n[profile]', "draft must be another name of the catalog"),
        ("[profile]", "draft = 1\n[profile]", "draft must be text in quotes"),
        ("title =", "title", "is not valid TOML"),
    ],
)
def test_every_slip_is_told(old: str, new: str, message: str) -> None:
    path = write(GOOD.replace(old, new, 1) if old else new + GOOD)
    with pytest.raises(ConfigError) as caught:
        load_catalog()
    assert message in caught.value.message
    assert str(path) in caught.value.message
