"""What every part of a config has in common."""

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """A mapping that refuses unknown keys and never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
