"""Data whose keys are all known."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Data in which an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)
