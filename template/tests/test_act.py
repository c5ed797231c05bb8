# copier: filter replace("my_project", package_name)
"""When rows halt, and what the head learns from it."""

import math

import pytest
import torch
from torch import Tensor, nn

from my_project.models import act
from my_project.models.act import ActHead, Halting

PLAIN = Halting(
    max_steps=6,
    exploration=0.0,
    halt_weight=1.0,
    ponder_weight=0.0,
    diversity_weight=0.0,
    least_std=1.0,
    halt_target="row",
    halt_pool="mean",
)
ALL = torch.tensor([True] * 4)


def head(**changes: object) -> ActHead:
    torch.manual_seed(0)
    return ActHead(8, Halting(**{**vars_of(PLAIN), **changes}))  # type: ignore[arg-type]


def vars_of(settings: Halting) -> dict[str, object]:
    return {name: getattr(settings, name) for name in Halting.__dataclass_fields__}


def gradient(act_head: ActHead, logits: list[float], correct: list[float], known: Tensor = ALL) -> Tensor:
    halt_logits = torch.tensor(logits, requires_grad=True)
    loss, _ = act_head.compute_act_loss(halt_logits, torch.tensor(correct), known)
    loss.backward()
    assert halt_logits.grad is not None
    return halt_logits.grad


# The loss


def test_logits_of_right_rows_rise_and_those_of_wrong_rows_fall() -> None:
    assert gradient(head(), [0.3, -0.2, 0.1, 0.0], [1, 0, 1, 0]).sign().tolist() == [-1, 1, -1, 1]


def test_the_loss_is_binary_cross_entropy_averaged_over_the_rows_with_a_known_answer() -> None:
    known = torch.tensor([True, True, False, False])
    loss, figures = head().compute_act_loss(torch.tensor([2.0, -1.0, 5.0, 5.0]), torch.tensor([1.0, 0, 0, 0]), known)
    assert loss.item() == pytest.approx((math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2, rel=1e-6)
    assert figures["halt_accuracy"] == 1
    assert figures["halt_base_rate"] == 0.5


def test_rows_without_a_known_answer_teach_the_head_nothing() -> None:
    known = torch.tensor([True, True, False, False])
    assert not gradient(head(diversity_weight=1.0), [0.1, 0.2, 3.0, -3.0], [1, 0, 1, 1], known)[2:].any()


def test_a_batch_without_known_answers_has_loss_zero() -> None:
    loss, figures = head(diversity_weight=1.0).compute_act_loss(torch.zeros(4), torch.zeros(4), ~ALL)
    assert loss == 0
    assert figures["halt_accuracy"].isnan()


def test_the_hinge_pushes_logits_apart_however_close_they_are() -> None:
    for distance in (1e-1, 1e-2, 1e-3):
        pushed = gradient(head(halt_weight=0.0, diversity_weight=1.0), [-distance, distance] * 2, [1, 0, 1, 0])
        assert pushed.abs().min() > 0.2
        assert pushed.sign().tolist() == [1, -1, 1, -1]


def test_the_gradient_of_a_variance_would_have_vanished_there() -> None:
    logits = torch.tensor([-1e-3, 1e-3] * 2, requires_grad=True)
    logits.var(correction=0).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-3


def test_the_hinge_rests_where_logits_differ_enough() -> None:
    assert not gradient(head(halt_weight=0.0, diversity_weight=1.0), [-2.0, 2.0, -2.0, 2.0], [1, 0, 1, 0]).any()


def test_the_gradient_is_finite_where_all_logits_are_equal() -> None:
    assert gradient(head(diversity_weight=1.0), [0.5] * 4, [1, 0, 1, 0]).isfinite().all()


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_rows_that_are_all_right_or_all_wrong_are_not_asked_to_differ(right: float) -> None:
    some = head(halt_weight=0.0, diversity_weight=1.0, least_std=0.4)
    loss, _ = some.compute_act_loss(torch.zeros(4), torch.full((4,), right), ALL)
    assert loss == 0
    loss, _ = some.compute_act_loss(torch.zeros(4), torch.tensor([right, 0, 1, 0.5]), ALL)
    assert loss > 0


def test_one_row_alone_is_not_asked_to_differ() -> None:
    loss, _ = head(halt_weight=0.0, diversity_weight=1.0).compute_act_loss(torch.zeros(1), torch.ones(1), ALL[:1])
    assert loss == 0


def test_the_ponder_cost_is_the_chance_of_going_on() -> None:
    costly = head(halt_weight=0.0, ponder_weight=0.5)
    loss, _ = costly.compute_act_loss(torch.tensor([0.0, 2.0, -2.0, 0.0]), torch.zeros(4), ALL)
    assert loss.item() == pytest.approx(0.5 * 0.5)
    assert (gradient(costly, [0.0, 2.0, -2.0, 1.0], [0, 0, 0, 0]) < 0).all()


def test_the_base_rate_is_the_accuracy_of_always_deciding_alike() -> None:
    _, figures = head().compute_act_loss(torch.tensor([1.0, 1, 1, -1]), torch.tensor([1.0, 1, 1, 1]), ALL)
    assert figures["halt_accuracy"] == 0.75
    assert figures["halt_base_rate"] == 1


# The decision


def test_a_new_head_halts_nowhere() -> None:
    assert (head()(torch.randn(5, 3, 8)) == act.FIRST_LOGIT).all()


def test_the_head_reads_the_mean_over_positions_or_the_first_one() -> None:
    answers = torch.randn(5, 3, 8)
    for pool, read in (("mean", answers.mean(1)), ("first", answers[:, 0])):
        some = head(halt_pool=pool)
        nn.init.normal_(some.linear.weight)
        torch.testing.assert_close(some(answers), some.linear(read)[:, 0], rtol=0, atol=0)


def test_a_row_halts_at_a_positive_logit_or_at_the_last_step() -> None:
    steps = torch.tensor([1, 1, 5, 6])
    assert head().decide(torch.tensor([0.1, -0.1, -9.0, -9.0]), steps).tolist() == [True, False, False, True]


def test_exploring_rows_go_on_at_least_to_the_second_step() -> None:
    eager = head(exploration=1.0)
    assert not eager.decide(torch.full((100,), 9.0), torch.ones(100, dtype=torch.long)).any()
    assert eager.decide(torch.full((100,), 9.0), torch.full((100,), 6)).all()


def test_rows_explore_as_often_as_the_setting_says() -> None:
    curious = head(exploration=0.25)
    kept = ~curious.decide(torch.full((20_000,), 9.0), torch.ones(20_000, dtype=torch.long))
    assert kept.float().mean().item() == pytest.approx(0.25, abs=0.01)
    later = ~curious.decide(torch.full((20_000,), 9.0), torch.full((20_000,), 4))  # 2 of the 5 least steps are 5 or 6
    assert later.float().mean().item() == pytest.approx(0.25 * 2 / 5, abs=0.01)


def test_nothing_explores_in_eval_mode() -> None:
    assert head(exploration=1.0).eval().decide(torch.full((50,), 9.0), torch.ones(50, dtype=torch.long)).all()


def test_a_model_of_one_step_halts_at_it() -> None:
    assert head(max_steps=1, exploration=1.0).decide(torch.tensor([-9.0]), torch.tensor([1])).all()


def test_the_chances_of_halting_add_up_to_one() -> None:
    chances = act.halting_distribution(torch.randn(5, 7) * 4)
    assert (chances >= 0).all()
    torch.testing.assert_close(chances.sum(1), torch.ones(5))


def test_a_row_that_is_undecided_at_each_step_halts_with_halved_chances() -> None:
    torch.testing.assert_close(act.halting_distribution(torch.zeros(1, 4)), torch.tensor([[0.5, 0.25, 0.125, 0.125]]))


# The term for diversity


def halting_steps(diversity_weight: float) -> Tensor:
    """Train a head for a short time on answers that hardly show which row is right; return when each row halts."""
    some, easy = head(diversity_weight=diversity_weight, least_std=4.0), torch.arange(64) % 4 > 0  # three in four
    answers = torch.ones(64, 1, 8)
    answers[..., 0] += torch.where(easy, 0.1, -0.1)[:, None]
    optimizer = torch.optim.SGD(some.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        some.compute_act_loss(some(answers), easy.float(), torch.ones(64, dtype=torch.bool))[0].backward()
        optimizer.step()
    return torch.where(some(answers) > 0, 1.0, 2.0)


def test_act_diversity_keeps_the_variance_of_halting_steps_above_zero() -> None:
    assert halting_steps(diversity_weight=0.0).var() == 0  # collapsed: every row halts at once, whatever it is
    assert halting_steps(diversity_weight=3.0).var() > 0.1
    # copier: endfilter
