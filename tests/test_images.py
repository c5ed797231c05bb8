"""The images of a project are well formed, ask for little, and start what is there.

No machine that runs these tests has a container engine, so no image is built here: Dockerfiles are linted, the compose
file is compared with its schema, and what the image would start is parsed by the project's own parser.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness import Result, Sample, Warm, command, render_sample

BIN = Path(sys.executable).parent
ANSWERS = {"docker": True, "serving": True}
METRICS = re.compile(r"\b(?:service|drift|process)_\w+")
PARSE = """
import json, sys
from {package}.__main__ import build_parser
print(json.dumps(vars(build_parser("serve", {{}}).parse_args({words})), default=str))
"""
FIGURES = """
from {package}.serving.metrics import Drift, Metrics
metrics = Metrics(0.5)
drift = Drift(None)
drift.verdict["figures"] = {{"errors": {{"drifted": True}}}}
metrics.registry.register(drift)
metrics.note("/predict", 200, 0.1, {{}})
print(metrics.text().decode())
"""


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A project that is served from a container."""
    return render_sample(template, tmp_path_factory.mktemp("images"), "served", ANSWERS)


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, each on one line, without comments."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    lines = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(word, " ".join(rest.split())) for word, _, rest in lines]


def last_stage(path: Path) -> list[tuple[str, str]]:
    """The instructions of the stage that becomes the image."""
    found = instructions(path)
    return found[max(number for number, (word, _) in enumerate(found) if word == "FROM") :]


def value(path: Path, wanted: str) -> str:
    """What the last instruction of that name says."""
    return [rest for word, rest in last_stage(path) if word == wanted][-1]


def python(warm: Warm, project: Sample, text: str) -> Result:
    """Run some lines in the project."""
    (block := project.folder / "block.py").write_text(text, encoding="utf-8")
    result = warm.run(project.folder, "run_file", block.name)
    block.unlink()
    return result


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.serve"])
def test_hadolint_has_nothing_to_say(name: str, project: Sample) -> None:
    result = command([BIN / "hadolint", "--no-color", "--failure-threshold", "style", name], project.folder)
    assert (result.status, result.output) == (0, "")


def test_the_compose_file_is_of_the_form_that_compose_reads(project: Sample) -> None:
    words: list[str | Path] = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    result = command(words, project.folder)
    assert result.status == 0, result.output


def test_both_images_start_without_a_shell_and_as_nobody_special(project: Sample) -> None:
    for name in ("Dockerfile", "Dockerfile.serve"):
        path = project.folder / name
        assert json.loads(value(path, "ENTRYPOINT"))[0] == "my-project"
        assert isinstance(json.loads(value(path, "CMD")), list)
        assert value(path, "USER") == "1000"
    health = value(project.folder / "Dockerfile.serve", "HEALTHCHECK").partition("CMD ")[2]
    words = json.loads(health)
    assert words[:2] == ["python", "-c"]
    compile(words[2], "health", "exec")


def test_the_last_stage_of_the_service_writes_nothing_after_it_has_changed_its_user(project: Sample) -> None:
    words = [word for word, _ in last_stage(project.folder / "Dockerfile.serve")]
    assert not {"RUN", "COPY", "ADD"} & {*words[words.index("USER") :]}


def test_what_the_images_copy_is_there_and_is_let_in(project: Sample) -> None:
    ignored = (project.folder / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in ("Dockerfile", "Dockerfile.serve"):
        for word, rest in instructions(project.folder / name):
            if word == "COPY" and "--from=" not in rest:
                *sources, _ = [part for part in rest.split() if not part.startswith("--")]
                assert all(f"!{source}" in ignored for source in sources), rest
                there = [source for source in sources if source not in {"uv.lock", "models"}]  # made by uv, by promote
                assert all((project.folder / source).exists() for source in there), rest


def test_the_command_of_the_image_and_that_of_the_compose_file_are_parsed(project: Sample, warm: Warm) -> None:
    path = project.folder / "Dockerfile.serve"
    entry, usual = json.loads(value(path, "ENTRYPOINT")), json.loads(value(path, "CMD"))
    (script,) = re.findall(
        r'^my-project = "(.+):main"$', (project.folder / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    assert (entry[0], script) == ("my-project", "my_project.__main__")
    composed = yaml.safe_load((project.folder / "compose.yaml").read_text("utf-8"))["services"]["serve"]["command"]
    for words, store in ((usual, "/tmp/"), (composed, "/predictions/")):  # noqa: S108 (of the container)
        result = python(warm, project, PARSE.format(package=project.package, words=entry[1:] + words))
        assert result.status == 0, result.output
        given = json.loads(result.output.splitlines()[-1])
        assert (given["command"], given["run"], given["host"], given["port"]) == ("serve", usual[0], "0.0.0.0", 8000)  # noqa: S104
        assert given["store"] == f"sqlite:///{store}predictions.db"


def test_ports_and_files_of_both_agree(project: Sample) -> None:
    path, compose = project.folder / "Dockerfile.serve", yaml.safe_load((project.folder / "compose.yaml").read_text())
    port = value(path, "EXPOSE")
    assert f":{port}/health" in value(path, "HEALTHCHECK")
    service = compose["services"]["serve"]
    assert service["build"]["dockerfile"] == path.name
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    scraped = yaml.safe_load((project.folder / "deploy/prometheus.yaml").read_text("utf-8"))
    assert scraped["scrape_configs"][0]["static_configs"][0]["targets"] == [f"serve:{port}"]
    assert all((project.folder / "deploy" / name).is_file() for name in scraped["rule_files"])
    shown = scraped["scrape_configs"][0]["authorization"]["credentials_file"]  # /metrics wants the key as well
    assert compose["services"]["prometheus"]["configs"] == [{"source": "key", "target": shown}]
    assert "SERVICE_API_KEY" in compose["configs"]["key"]["content"]
    assert ("COPY", "configs/monitoring.yaml configs/") in last_stage(path)


def test_every_service_of_the_compose_file_can_write_and_do_little(project: Sample) -> None:
    services: dict[str, Any] = yaml.safe_load((project.folder / "compose.yaml").read_text("utf-8"))["services"]
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "mem_limit" in service
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert all(
            volume.endswith(":ro") or (":/" in volume and volume[0] not in "./") for volume in service["volumes"]
        )


def test_rules_name_figures_that_the_service_has(project: Sample, warm: Warm) -> None:
    told = python(warm, project, FIGURES.format(package=project.package))
    assert told.status == 0, told.output
    known = {*re.findall(r"^(\w+)(?:\{| )", told.output, re.MULTILINE)}
    rules = yaml.safe_load((project.folder / "deploy/alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
    for rule in rules:
        named = {*METRICS.findall(rule["expr"])}
        assert named or rule["expr"].startswith("up{")
        assert named <= known, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "action"}
    assert len({rule["alert"] for rule in rules}) == len(rules) == 8


def test_without_a_service_there_is_no_image_of_it(template: Path, tmp_path: Path) -> None:
    for docker, serving in ((True, False), (False, True)):
        answers = {"docker": docker, "serving": serving}
        folder = render_sample(template, tmp_path, f"{docker}-{serving}", answers).folder
        both = ("Dockerfile.serve", "compose.yaml", "deploy/prometheus.yaml")
        assert not [name for name in both if (folder / name).exists()]
        assert [(folder / name).exists() for name in ("configs/card.yaml", "deploy")] == [serving, serving]
    # copier renders the lines of a list only where they are wanted
    assert "!models" not in (tmp_path / "True-False/.dockerignore").read_text(encoding="utf-8")
