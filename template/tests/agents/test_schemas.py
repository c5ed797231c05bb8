# copier: filter replace("my_project", package_name)
"""What agents hand to one another is checked: keys, statuses, numbers with units."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from my_project_agents.quantities import Count, Gigabytes, Milliseconds, Passing
from my_project_agents.schemas import Context, ModelSpec, Report, Result, read_spec

CONTEXT = {
    "task": "Implement TRM \N{MULTIPLICATION SIGN} Titans-MAG architecture",
    "requirements": {
        "model_type": "transformer",
        "parameters": "25M target",
        "features": ["sliding_window_attention", "long_term_memory", "ACT"],
        "framework": "pytorch",
        "constraints": {"vram": "6GB", "inference_speed": "real-time"},
    },
    "existing_code": {"files": ["model.py", "config.py"], "status": "partial_implementation"},
    "reference_materials": {"papers": ["TRM.pdf", "Titans-MAG.pdf"], "implementations": ["reference_model.py"]},
}
CODE = {"path": "src/model/titans_mag.py", "description": "Titans-MAG backbone", "loc": 350, "tested": True}
RESULT = {
    "status": "implementation_complete",
    "deliverables": {
        "code_files": [CODE],
        "tests": [{"path": "tests/test_model.py", "coverage": 95, "all_passing": True}],
        "documentation": {"architecture_diagram": "docs/architecture.md", "usage_examples": "examples/train.py"},
    },
    "performance_metrics": {"parameter_count": "25.6M", "inference_time": "45ms (GPU)", "vram_usage": "5.2GB"},
    "validation": {
        "unit_tests": "48/48 passing",
        "integration_tests": "12/12 passing",
        "manual_verification": "Forward/backward pass successful",
    },
}
REPORT: dict[str, Any] = {
    "files": [{"path": "src/x.py", "what": "a layer"}],
    "tests": [{"path": "tests/test_x.py", "what": "4 passed"}],
    "documentation": [],
    "e2e_scenarios": ["train, then predict"],
    "decisions": [],
    "concerns": [],
    "breaking_changes": [{"change": "dim is called width", "migration": "rename it in presets"}],
}
SCHEMAS: list[tuple[type[BaseModel], dict[str, Any]]] = [(Context, CONTEXT), (Result, RESULT), (Report, REPORT)]


def changed(values: dict[str, Any], keys: list[str], new: Any) -> dict[str, Any]:
    """Copy nested values with one of them changed, or taken out where `new` is ...."""
    copy: Any = json.loads(json.dumps(values))
    place = copy
    for key in keys[:-1]:
        place = place[key]
    if new is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = new
    return dict(copy)


@pytest.mark.parametrize(("schema", "values"), SCHEMAS)
def test_what_is_whole_is_accepted_and_written_as_it_was_read(schema: type[BaseModel], values: dict[str, Any]) -> None:
    written = schema.model_validate(values).model_dump(mode="json", exclude_unset=True)
    assert written == values


@pytest.mark.parametrize(("schema", "values"), SCHEMAS)
def test_each_key_that_is_missing_and_each_that_is_unknown_is_named(
    schema: type[BaseModel], values: dict[str, Any]
) -> None:
    for key in values:
        with pytest.raises(ValidationError, match=key):
            schema.model_validate(changed(values, [key], ...))
    with pytest.raises(ValidationError, match="mood"):
        schema.model_validate({**values, "mood": "good"})


@pytest.mark.parametrize(
    ("keys", "new"),
    [
        (["status"], "done"),
        (["status"], "success"),
        (["deliverables", "documentation"], ...),
        (["deliverables", "code_files"], [{"path": "x.py"}]),
        (["deliverables", "code_files"], [{**CODE, "loc": 0}]),
        (["deliverables", "tests"], [{"path": "t.py", "coverage": 101, "all_passing": True}]),
        (["performance_metrics", "parameter_count"], ...),
        (["performance_metrics", "parameter_count"], "many"),
        (["performance_metrics", "parameter_count"], "25.6GB"),
        (["performance_metrics", "inference_time"], "45"),
        (["performance_metrics", "vram_usage"], "5.2"),
        (["validation", "unit_tests"], "all passing"),
        (["validation", "unit_tests"], "49/48 passing"),
    ],
)
def test_a_result_that_claims_nonsense_is_refused(keys: list[str], new: Any) -> None:
    with pytest.raises(ValidationError, match=keys[-1] if new is not ... or len(keys) == 1 else "Field required"):
        Result.model_validate(changed(RESULT, keys, new))


def test_only_pytorch_is_a_framework() -> None:
    with pytest.raises(ValidationError, match="framework"):
        Context.model_validate(changed(CONTEXT, ["requirements", "framework"], "jax"))


@pytest.mark.parametrize(
    ("kind", "text", "value", "note"),
    [
        (Count, "25.6M", 25_600_000, ""),
        (Count, "25M target", 25_000_000, "target"),
        (Count, "4,746", 4746, ""),
        (Count, 18_931_210, 18_931_210, ""),
        (Milliseconds, "45ms (GPU)", 45, "GPU"),
        (Milliseconds, "0.2 s", 200, ""),
        (Milliseconds, "900us", 0.9, ""),
        (Gigabytes, "5.2GB", 5.2, ""),
        (Gigabytes, "800 MB", 0.8, ""),
    ],
)
def test_a_number_with_a_unit_is_read_as_people_write_it(kind: type[Count], text: Any, value: float, note: str) -> None:
    read = kind.model_validate(text)
    assert read.value == pytest.approx(value)
    assert (read.note, read.text) == (note, str(text))


def test_a_claim_agrees_with_what_was_measured_as_far_as_its_digits_go() -> None:
    claim = Count.model_validate("25.6M")
    assert claim.agrees(25_640_000)
    assert not claim.agrees(25_660_000)
    assert not Count.model_validate("4746").agrees(4747)
    assert Milliseconds.model_validate("45ms").agrees(49, tolerance=0.1)
    assert not Milliseconds.model_validate("45ms").agrees(50, tolerance=0.1)


def test_tests_that_pass_are_counted() -> None:
    assert Passing.model_validate("12/13 passing") == Passing.model_validate("12/13 passing")
    assert (Passing.model_validate("12/13 passing").passed, Passing.model_validate("12/13 passing").total) == (12, 13)


def test_a_specification_is_a_preset_with_demands(workspace: Path) -> None:
    spec = workspace / "spec.yaml"
    spec.write_text("data: {kind: digits}\nmodel: {kind: resnet, depth: 3, num_classes: 10}\n")
    assert read_spec(spec).model.model_dump() == {"kind": "resnet", "depth": 3, "num_classes": 10}
    assert read_spec(spec).gaps == ["inputs", "outputs", "latency_ms", "parameters or max_parameters"]
    spec.write_text(spec.read_text() + "inputs: [8, 8]\noutputs: [10]\nlatency_ms: 100\nmax_parameters: 0.3M\n")
    assert read_spec(spec).gaps == []
    assert read_spec(spec).max_parameters == Count.model_validate("0.3M")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("data: {kind: digits}", "model: Field required"),
        ("model: {dim: 3}", "model.kind: Field required"),
        ("model: {kind: mlp}\ninputs: [0]", "inputs.0"),
        ("model: {kind: mlp}\nmax_parameters: a lot", "max_parameters: got 'a lot', want a number"),
        ("model: {kind: mlp}\nbudget: 3", "budget"),
        ("model: {kind: [", "expected"),
    ],
)
def test_a_specification_that_is_wrong_is_refused_in_one_line(workspace: Path, text: str, wrong: str) -> None:
    (workspace / "spec.yaml").write_text(text)
    with pytest.raises(ValueError, match=wrong) as refused:
        read_spec(workspace / "spec.yaml")
    assert str(refused.value).startswith("spec.yaml: ") or str(refused.value).startswith(str(workspace))
    assert "\n" not in str(refused.value)


def test_specifications_of_the_tests_are_in_the_same_form() -> None:
    for path in sorted(Path(__file__).parents[1].glob("specified_*.yaml")):
        assert isinstance(read_spec(path), ModelSpec)


def test_a_specification_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="nowhere.yaml is not there"):
        read_spec(Path("nowhere.yaml"))
    # copier: endfilter
