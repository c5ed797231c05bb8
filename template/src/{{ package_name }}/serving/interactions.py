"""Items as candidates of a search: a row is a user that was trained on."""

from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from ..data.interactions import Interactions
from ..data.retrieval import Side
from .rows import make, text_of
from .stored import Stored


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: the name of a user in the manifest."""
    users = data.once("places", lambda: {name: place for place, name in enumerate(data.manifest["users"])})
    first = next(iter(users))

    def trained(name: str) -> str:
        """Refuse a user that the model knows nothing of."""
        if name.strip() not in users:
            raise ValueError(f"got {name[:40]!r}, want a user that was trained on, as in {first}")
        return name.strip()

    return make({"query": first}, query=text_of(trained, "a user, for items"))


def encode(rows: list[Any], data: Stored) -> dict[str, Any]:
    """Turn rows into users and no item, [B, 2]."""
    users = torch.tensor([data.places[row.query] for row in rows])
    return {"query": torch.stack([users, users * 0], dim=1), "part": users * 0}


def whole(data: Stored) -> Any:
    """Return all that is known of users: what they took in training and validation."""
    return data.once("whole", lambda: data.config.build("val", num_rows=0))


def candidates(data: Stored) -> dict[int, Side]:
    """Return what is searched: all items."""
    return {0: whole(data).searches()[0].candidates}


def known(rows: list[Any], data: Stored) -> Tensor:
    """Return what is no answer [B, C]: what a user has already, and itself."""
    users, table = [data.places[row.query] for row in rows], whole(data)
    has: Tensor = table.taken[users] | table.same[users]
    return has


def requests(dataset: Interactions, index: Tensor, data: Stored) -> list[dict[str, Any]]:
    """Return the users of rows [B] of a data set as a client asks for them."""
    return [{"query": data.manifest["users"][user]} for user in dataset.inputs[index, 0].tolist()]


def features(inputs: dict[str, Any], _: list[Any], data: Stored) -> dict[str, Tensor]:
    """Return what is watched of users [B]: how much they have."""
    return {"items_taken": whole(data).taken[inputs["query"][:, 0]].sum(1).float()}


def files(data: Stored) -> list[str]:
    """Return the names of the data files that answering reads: that with what users have."""
    return [name for name in data.manifest["files"] if not name.endswith("_test.npz")]
