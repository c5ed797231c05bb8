"""What monitoring demands, and where a person edits it: `configs/monitoring.yaml`."""

import math
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ..types import STRICT

FILE = Path("configs/monitoring.yaml")  # where the command or the service is started
HOURS = 730  # of a month

Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cost:
    """What a service costs; without a price and a load nothing is estimated."""

    requests_per_second: NonNegativeFloat = 0.0  # at the busiest hour
    capacity: PositiveFloat = 100.0  # requests per second that one replica answers, by a load test
    utilisation: Share = 0.6  # of the capacity that is planned for: the rest is for bursts and for a replica that dies
    price_per_hour: NonNegativeFloat = 0.0  # of one replica
    least_replicas: PositiveInt = 1

    def estimate(self) -> dict[str, float]:
        """Return how many replicas the busiest hour needs, and what they cost a month."""
        wanted = math.ceil(self.requests_per_second / (self.capacity * self.utilisation))
        replicas = max(self.least_replicas, wanted)
        return {"replicas": replicas, "cost_per_month": round(replicas * self.price_per_hour * HOURS, 2)}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Limits:
    """When monitoring alerts, what the log keeps, and how often a model is trained anew."""

    window: Annotated[int, Field(ge=50)] = 500  # newest rows that are compared to the reference
    minimum: Annotated[int, Field(ge=20)] = 100  # rows without which there is no verdict
    false_alarms: Share = 0.01  # of windows that alert though nothing changed, at most, all tests together
    psi: PositiveFloat = 0.1  # that a column has to pass as well: 0.1 is moderate, 0.25 large
    repeated: Share = 0.2  # of the window that copies of one row may be, more than they were
    errors: Share = 0.05  # how many more of 100 rows may be wrong, or of 100 pairs be worse than chance makes them
    cadence_days: PositiveFloat = 90.0  # after which a model is trained anew whatever is found
    log_rows: PositiveInt = 50_000  # that the log of predictions keeps
    log_days: PositiveFloat = 30.0  # that it keeps them
    cost: Cost = Cost()


def read_limits(path: Path | None = None) -> Limits:
    """Read a file of limits, or that of the folder where this was started; ValueError if it is wrong."""
    if path is None and not FILE.is_file():
        return Limits()
    file = path or FILE
    if not file.is_file():
        raise ValueError(f"--limits: {file} is not there; want a YAML file like {FILE}")
    try:
        values: Any = yaml.safe_load(file.read_text("utf-8")) or {}
        limits: Limits = TypeAdapter(Limits).validate_python(values)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])
        raise ValueError(f"{file}: {where}: got {wrong['input']!r}; {wrong['msg']}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: want YAML ({' '.join(str(error).split())})") from None
    if limits.window < limits.minimum:
        raise ValueError(f"{file}: window: got {limits.window}, want minimum ({limits.minimum}) or more")
    return limits
