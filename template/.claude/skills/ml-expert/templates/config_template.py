# copier: filter replace("my_project", package_name)
"""Settings to begin with: a frozen dataclass that checks itself, and comes back from YAML as it was."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import PositiveFloat, PositiveInt, TypeAdapter
from pydantic.dataclasses import dataclass
from torch import nn

from my_project.types import STRICT, Fraction


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ConfigTemplate:
    """Settings of a part, beside the part that they set."""

    kind: Literal["config_template"] = "config_template"
    dim: PositiveInt = 64
    num_heads: PositiveInt = 4
    dropout: Fraction = 0.1
    temperature: PositiveFloat = 1.0  # a comment here is the option's help

    def __post_init__(self) -> None:
        """Refuse what each field allows and all together do not: what was given, what is wanted."""
        if self.dim % self.num_heads:
            raise ValueError(f"num_heads {self.num_heads} must divide dim {self.dim}")

    @property
    def head_dim(self) -> int:
        """What follows from the fields is no field."""
        return self.dim // self.num_heads

    def build(self) -> nn.Module:
        """Make the part."""
        return nn.Sequential(nn.Linear(self.dim, self.head_dim), nn.Dropout(self.dropout))


CONFIG = TypeAdapter(ConfigTemplate)


def save(config: ConfigTemplate, path: Path) -> None:
    """Write settings that `load` reads back to equal ones."""
    path.write_text(yaml.safe_dump(CONFIG.dump_python(config, mode="json"), sort_keys=False), encoding="utf-8")


def load(path: Path) -> ConfigTemplate:
    """Read and check settings."""
    return CONFIG.validate_python(yaml.safe_load(path.read_text("utf-8")))
    # copier: endfilter
