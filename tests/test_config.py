"""The config file: where it is, what it may say, and how it is told when it is wrong."""

from pathlib import Path

import pytest

from qvq_cli.errors import ConfigError
from qvq_cli.hub.config import KEYS, config_path, load_config


def written(folder: Path, text: str) -> dict[str, str]:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return {"QVQ_CONFIG": str(path)}


def test_no_file_is_no_settings(tmp_path: Path) -> None:
    config = load_config({"XDG_CONFIG_HOME": str(tmp_path), "APPDATA": str(tmp_path)})
    assert config.path is None
    assert config.values == {}
    assert config.text("model") is None


def test_values_are_read(tmp_path: Path) -> None:
    text = 'model = "qvq-72b-preview"\nmax-thinking = 2048\nn-gpu-layers = "auto"\ntop-p = 1\n'
    config = load_config(written(tmp_path, text))
    assert config.values == {
        "model": "qvq-72b-preview", "max-thinking": 2048, "n-gpu-layers": "auto", "top-p": 1,
    }  # fmt: skip
    assert config.text("max-thinking") == "2048"


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"QVQ_CONFIG": "/etc/q.toml"}, "linux", "/etc/q.toml"),
        ({"XDG_CONFIG_HOME": "/x"}, "linux", "/x/qvq/config.toml"),
        ({"XDG_CONFIG_HOME": "/x"}, "darwin", "/x/qvq/config.toml"),
        ({"APPDATA": "/roaming", "XDG_CONFIG_HOME": "/x"}, "win32", "/roaming/qvq/config.toml"),
        ({}, "linux", "~/.config/qvq/config.toml"),
        ({}, "darwin", "~/Library/Application Support/qvq/config.toml"),
        ({}, "win32", "~/AppData/Roaming/qvq/config.toml"),
    ],
)
def test_place_by_platform(environ: dict[str, str], platform: str, expected: str) -> None:
    assert config_path(environ, platform) == Path(expected).expanduser()


def test_unknown_key_is_told_with_its_line(tmp_path: Path) -> None:
    environ = written(tmp_path, '# mine\nmodel = "nano"\n\nmax_thinking = 100\n')
    with pytest.raises(ConfigError) as caught:
        load_config(environ)
    error = caught.value
    assert f"{environ['QVQ_CONFIG']}:4: there is no setting 'max_thinking'" in error.message
    assert "perhaps max-thinking?" in error.message
    assert all(key in (error.hint or "") for key in KEYS)
    assert error.exit_code == 78


def test_tables_are_unknown_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r":2: there is no setting 'solve'"):
        load_config(written(tmp_path, '\n[solve]\nmodel = "nano"\n'))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("threads = true", "threads must be a whole number, not True"),
        ("threads = 2.5", "threads must be a whole number, not 2.5"),
        ("temperature = 'hot'", "temperature must be a number, not 'hot'"),
        ("model = 3", "model must be text in quotes, not 3"),
        ("max-thinking = [1]", "must be a whole number, or text in quotes"),
        ("quiet = 1", "quiet must be true or false, not 1"),
    ],
)
def test_wrong_type_is_told(line: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, f"\n{line}\n"))
    assert words in caught.value.message
    assert "config.toml:2:" in caught.value.message


def test_broken_toml_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not valid TOML: .*line 2") as caught:
        load_config(written(tmp_path, 'model = "nano"\nmodel = nano\n'))
    assert caught.value.reference == "broken-config"


def test_file_that_isnt_text(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"model = \xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config({"QVQ_CONFIG": str(tmp_path / "config.toml")})


def test_a_folder_or_nothing_at_qvq_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config({"QVQ_CONFIG": str(tmp_path / "none.toml")})
    with pytest.raises(ConfigError, match="can't be read"):
        load_config({"QVQ_CONFIG": str(tmp_path)})
