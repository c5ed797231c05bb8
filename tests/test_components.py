"""The benchmark of the components, with budgets of a second: what it asks, and what it compares, is what it says."""

from collections.abc import Iterator

import pytest
import torch

from benchmarks import components, learning, recall
from my_project.config import load
from my_project.types import UNKNOWN


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(recall, "HELD_OUT", 8)
    for settings in (components.PUZZLES, components.COLLAPSE):
        for split in ("train", "val", "test"):
            monkeypatch.setitem(settings, f"data.num_{split}", 40)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_a_key_is_asked_for_the_value_that_it_was_told_with() -> None:
    batch = recall.pairs(4, 32, 64, 50, torch.Generator().manual_seed(0))
    keys, values, asked = batch.inputs[:, 0:8:2], batch.inputs[:, 1:8:2], batch.inputs[:, -4:]
    assert batch.inputs.shape == (50, 8 + 64 + 4)
    assert (batch.targets[:, :-4] == UNKNOWN).all()
    for key, value, question, answer in zip(keys, values, asked, batch.targets[:, -4:], strict=True):
        table = dict(zip(key.tolist(), value.tolist(), strict=True))
        assert len(table) == 4
        assert [table[one] for one in question.tolist()] == answer.tolist()
    assert (keys < 32).all()
    assert ((values >= 32) & (values < 64)).all()
    assert (batch.inputs[:, 8:-4] >= 64).all()


def test_window_attention_alone_is_as_large_and_sees_no_further_than_its_windows() -> None:
    torch.manual_seed(0)
    models = recall.contenders(32)
    with_memory, alone = models.values()
    assert learning.size(with_memory) <= learning.size(alone) <= 1.02 * learning.size(with_memory)
    batch = recall.pairs(4, 32, 64, 2, torch.Generator().manual_seed(0))
    inputs = batch.inputs.clone()
    inputs[:, :8] = inputs[:, :8].flip(0)
    for what, model in models.items():
        logits = [model.eval().read(tokens)[0][:, -4:] for tokens in (batch.inputs, inputs)]
        assert torch.equal(*logits) == (what == "window attention alone")


def test_the_feed_forward_net_has_the_same_parameters_and_forgets() -> None:
    config = load("trm", components.PUZZLES)
    model = config.model.build()
    once, data = components.OnePass(model).eval(), config.data.build("val", num_rows=4)
    assert learning.size(once) == learning.size(model)
    output = once(data[torch.arange(4), 0])
    assert output.carry is None
    output.loss.backward()
    assert all(parameter.grad is not None for parameter in model.network.parameters())


@pytest.mark.parametrize("early_stop", [True, False])
def test_figures_of_puzzles_a_few_at_a_time_are_those_of_all_at_once(
    early_stop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    config = load("trm", components.PUZZLES | {"model.max_steps": 3, "model.early_stop": early_stop})
    model, batch = config.model.build().eval(), components.unseen(config)
    torch.nn.init.normal_(model.act.linear.weight)
    torch.nn.init.zeros_(model.act.linear.bias)
    found = components.solved(model, batch)
    monkeypatch.setattr(components, "PARTS", 1)
    wanted = components.solved(model, batch)
    assert wanted["steps_variance"] > 0.1
    names = ("exact", "halted_exact", "halt_accuracy", "halt_base_rate", "steps", "steps_variance")
    assert [found[name] for name in names] == pytest.approx([wanted[name] for name in names], abs=1e-6)


@pytest.mark.parametrize("part", ["recall", "sudoku", "collapse"])
def test_a_budget_too_small_to_learn_is_a_missed_bound(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        components.main(["--only", part, "--seeds", "0", "--scale", "0.005"])
    assert raised.value.code == 1
    rows = capsys.readouterr().out.splitlines()
    assert {row.count("|") for row in rows} == {5}
    assert any(row.endswith("| **no** |") for row in rows)
