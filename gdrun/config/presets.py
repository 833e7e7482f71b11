"""The configs that come with gdrun: presets by name, and the one that `gdrun init` writes."""

from pathlib import Path

from gdrun.errors import ConfigError, did_you_mean

DEFAULT_PRESET = "article"


def preset_directory() -> Path:
    """The shipped presets: inside an installed package, or beside it in a source checkout."""
    package = Path(__file__).parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def starter() -> str:
    """The commented config that `gdrun init` writes."""
    return Path(__file__).with_name("starter.yaml").read_text(encoding="utf-8")


def preset_names() -> list[str]:
    """The presets that `--config NAME` finds, sorted."""
    return sorted(path.stem for path in preset_directory().glob("*.yaml"))


def find_config(name: str) -> Path:
    """The file that `--config` means: a path if it looks like one, else a preset, else a path.

    Raises:
        ConfigError: no such file and no such preset.
    """
    path = Path(name)
    looks_like_path = path.suffix in {".yaml", ".yml"} or len(path.parts) > 1
    if not looks_like_path and name in preset_names():
        return preset_directory() / f"{name}.yaml"
    try:
        if path.exists():
            return path
    except OSError:
        return path  # reading it will raise the same, with a message
    presets = preset_names()
    raise ConfigError(
        f"--config {name}: no such file" + ("" if looks_like_path else " or preset"),
        *did_you_mean(path.stem, presets),
        f"presets: {', '.join(presets)}; `gdrun init` writes a config file to start from",
    )
