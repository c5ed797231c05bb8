"""What the service is measured beside: the same model behind a bare FastAPI handler, and behind litserve.

    python -c "from benchmarks.peers.serving import main; main()" NAME RUN PORT

litserve pickles its API into processes of its own, so that this must be imported and cannot be the main module.
"""

import sys
from pathlib import Path
from typing import Any

import litserve
import uvicorn
from fastapi import FastAPI
from pydantic import create_model

from my_project.serving.predictor import Predictor, Record

BATCHES = {"max_batch_size": 64, "batch_timeout": 0.002}


def serve_bare(run: Path, port: int) -> None:
    """Serve a run as the first page of FastAPI's manual would."""
    app, predictor = FastAPI(), Predictor.load(run)
    rows: Any = (list[predictor.row], ...)  # type: ignore[name-defined]
    question: Any = create_model("Question", rows=rows)

    def predict(given: question) -> dict[str, Any]:
        return {"answers": predictor(given.rows)}

    app.post("/predict")(predict)
    uvicorn.run(app, port=port, log_level="error", access_log=False)


class Api(litserve.LitAPI):
    """A run as litserve wants it."""

    def __init__(self, run: str, **options: Any) -> None:
        super().__init__(api_path="/predict", **options)
        self.run, self.batching = run, bool(options)

    def setup(self, device: str) -> None:
        """Load the model."""
        self.predictor = Predictor.load(Path(self.run))

    def decode_request(self, request: dict[str, Any]) -> list[Any]:
        """Return the rows of a request."""
        return self.predictor.check(request["rows"])

    def predict(self, rows: Any) -> Any:
        """Answer the rows of a request, or those of several."""
        if not self.batching:
            return self.predictor(rows)
        records = iter(self.predictor([row for each in rows for row in each]))
        return [[next(records) for _ in each] for each in rows]

    def encode_response(self, records: list[Record]) -> dict[str, Any]:
        """Return the answers."""
        return {"answers": records}


def serve_litserve(run: Path, port: int, options: dict[str, Any]) -> None:
    """Serve a run by litserve, with or without its batching."""
    server = litserve.LitServer(Api(str(run), **options), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, log_level="error", generate_client_file=False)


def main() -> None:
    """Serve a run by the peer of a name."""
    name, run, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if name == "bare FastAPI":
        serve_bare(run, port)
    else:
        serve_litserve(run, port, BATCHES if name == "litserve, batches" else {})
