"""What agents hand to one another, as checked data: a task's context, its result, a model's specification, a report."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
)

from .quantities import Count, Gigabytes, Milliseconds, Passing
from .strict import Strict

Text = Annotated[str, Field(pattern=r"\S")]


class Constraints(Strict):
    """What a model may cost."""

    vram: Gigabytes | None = None
    inference_speed: Text | None = None  # a time, or a word such as "real-time"


class Requirements(Strict):
    """What is wanted of a model."""

    model_type: Text
    parameters: Count | None = None
    features: tuple[Text, ...] = ()
    framework: Literal["pytorch"]
    constraints: Constraints = Constraints()


class ExistingCode(Strict):
    """What is there already."""

    files: list[Text]
    status: Text


class References(Strict):
    """What to read."""

    papers: list[Text]
    implementations: list[Text]


class Context(Strict):
    """What a skill hands to the agent that it spawns."""

    task: Text
    requirements: Requirements
    existing_code: ExistingCode
    reference_materials: References


class CodeFile(Strict):
    """A file of code that was written."""

    path: Text
    description: Text
    loc: PositiveInt
    tested: bool


class TestFile(Strict):
    """A file of tests that was written."""

    __test__ = False  # pytest: this is none of its own
    path: Text
    coverage: Annotated[float, Field(ge=0, le=100)]
    all_passing: bool


class Documentation(Strict):
    """Where the result is explained and used."""

    architecture_diagram: Text
    usage_examples: Text


class Deliverables(Strict):
    """What was written."""

    code_files: list[CodeFile]
    tests: list[TestFile]
    documentation: Documentation


class Performance(Strict):
    """What was measured; null where nothing was."""

    parameter_count: Count | None
    inference_time: Milliseconds | None
    vram_usage: Gigabytes | None


class Validation(Strict):
    """What was tested; null where nothing was."""

    unit_tests: Passing | None
    integration_tests: Passing | None
    manual_verification: Text | None


class Result(Strict):
    """What an agent hands back; it is partial where a claim is not what lies on the disk."""

    status: Literal["implementation_complete", "partial", "failed"]
    deliverables: Deliverables
    performance_metrics: Performance
    validation: Validation


class Section(BaseModel):
    """A section of a config, as a preset writes it: the kind and the options that matter."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: Text


class ModelSpec(Strict):
    """What a model has to be: data and model as in a preset, and what may be demanded of it."""

    data: Section | None = None
    model: Section
    inputs: tuple[PositiveInt, ...] | None = None  # shape of one row, without the batch
    outputs: tuple[PositiveInt, ...] | None = None  # shape of one answer
    parameters: PositiveInt | None = None  # exactly so many
    max_parameters: Count | None = None
    latency_ms: PositiveFloat | None = None  # 95th percentile for one row
    assumptions: tuple[Text, ...] = ()

    @field_validator("max_parameters", mode="before")
    @classmethod
    def open_end(cls, given: Any) -> Any:
        """Let a budget be left out."""
        return None if given in ("", None) else given

    @property
    def gaps(self) -> list[str]:
        """Return what a design that is to be built must say and this does not."""
        names = ("data", "inputs", "outputs", "latency_ms")
        budget = [] if self.parameters or self.max_parameters else ["parameters or max_parameters"]
        return [name for name in names if not getattr(self, name)] + budget


class Change(Strict):
    """A file, and what became of it."""

    path: Text
    what: Text


class Breaking(Strict):
    """What no longer works as it did, and how to move on."""

    change: Text
    migration: Text


class Report(Strict):
    """What is told when a task is done: six items, and what the next one must know."""

    files: Annotated[list[Change], Field(min_length=1)]
    tests: Annotated[list[Change], Field(min_length=1)]  # a file or test, and its result
    documentation: list[Text]
    e2e_scenarios: list[Text]  # what integration-agent should try again
    decisions: list[Text]  # each with its reason
    concerns: list[Text]
    breaking_changes: list[Breaking]
    assumptions: tuple[Text, ...] = ()
    design_concerns: tuple[Text, ...] = ()
    beyond_the_spec: tuple[Text, ...] = ()


def first_error(error: ValidationError, where: str) -> str:
    """Say in one line what is wrong with data first, and where."""
    wrong = error.errors()[0]
    what = wrong["msg"].removeprefix("Value error, ").replace("Input should be", "want")
    return f"{where}: {'.'.join(str(part) for part in wrong['loc']) or 'all of it'}: {what}"


def read_spec(path: Path) -> ModelSpec:
    """Read the specification of a model from YAML; raises ValueError with what is wrong in one line."""
    import yaml  # noqa: PLC0415 (only here: it takes time to import)

    try:
        return ModelSpec.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except FileNotFoundError:
        raise ValueError(f"{path} is not there; want the specification of a model") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise ValueError(first_error(error, str(path))) from None
