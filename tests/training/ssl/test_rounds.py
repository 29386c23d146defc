import numpy as np
import pytest
import torch

from agrm_study.training.ssl.rounds import Rounds


def close(rounds: Rounds, labels: list[int], qualifies: list[bool]) -> int:
    """A round over all clips."""
    return rounds.close(np.arange(len(labels)), np.array(labels), np.array(qualifies))


def test_clips_that_qualify_move_and_stay_until_none_is_left() -> None:
    rounds = Rounds(4, round_epochs=10)
    assert close(rounds, [0, 1, 2, 0], [False, True, False, True]) == 2
    assert rounds.accepted_ids.tolist() == [1, 3]
    assert rounds.accepted_labels.tolist() == [1, 0]
    assert rounds.open_ids.tolist() == [0, 2]
    assert not rounds.done
    assert close(rounds, [0, 1, 2, 0], [True, False, True, False]) == 2
    assert rounds.accepted_ids.tolist() == [0, 1, 2, 3]
    assert rounds.accepted_rounds.tolist() == [1, 0, 1, 0]
    assert rounds.moved_by_round == [2, 2]
    assert rounds.done


def test_moved_clips_are_relabelled_by_later_rounds_but_keep_their_round() -> None:
    rounds = Rounds(3, round_epochs=1)
    close(rounds, [0, 1, 2], [True, False, False])
    close(rounds, [2, 1, 0], [False, True, False])
    assert rounds.accepted_ids.tolist() == [0, 1]
    assert rounds.accepted_labels.tolist() == [2, 1]
    assert rounds.accepted_rounds.tolist() == [0, 1]


def test_a_round_may_label_the_open_clips_alone() -> None:
    rounds = Rounds(3, round_epochs=1)
    close(rounds, [0, 1, 2], [True, False, False])
    assert rounds.close(np.array([2, 1]), np.array([1, 1]), np.array([True, False])) == 1
    assert rounds.accepted_labels.tolist() == [0, 1]
    assert rounds.open_ids.tolist() == [1]


def test_the_rounds_end_when_none_of_those_left_qualifies() -> None:
    rounds = Rounds(2, round_epochs=1)
    close(rounds, [0, 1], [True, False])
    assert close(rounds, [0, 1], [True, False]) == 0
    assert rounds.done
    assert not rounds.due(50)
    with pytest.raises(ValueError, match="have ended"):
        close(rounds, [0, 1], [True, True])


def test_a_round_without_any_acceptance_so_far_does_not_end_them() -> None:
    rounds = Rounds(2, round_epochs=1)
    assert close(rounds, [0, 1], [False, False]) == 0
    assert not rounds.done
    assert close(rounds, [0, 1], [True, True]) == 2
    assert rounds.done


def test_rounds_follow_the_pre_training_and_then_come_at_their_interval() -> None:
    rounds = Rounds(2, round_epochs=10)
    assert [epoch for epoch in range(-10, 25) if rounds.due(epoch)] == [0, 10, 20]
    assert Rounds(0, round_epochs=10).done


@pytest.mark.parametrize(
    ("ids", "labels", "qualifies", "message"),
    [
        ([0, 1, 1], [0, 0, 0], [True] * 3, "duplicate id"),
        ([0, 1, 3], [0, 0, 0], [True] * 3, r"be in \[0, 3\), got 0 to 3"),
        ([0, 1], [0, 0], [True] * 2, "1 missing, first 2"),
        ([0, 1, 2], [0, -1, 0], [True] * 3, "labels must be at least 0"),
        ([0, 1, 2], [0, 0], [True] * 3, "same length"),
    ],
)
def test_a_round_that_cannot_be_right_is_refused_and_changes_nothing(ids, labels, qualifies, message) -> None:
    rounds = Rounds(3, round_epochs=1)
    before = rounds.state_dict()
    with pytest.raises(ValueError, match=message):
        rounds.close(np.array(ids), np.array(labels), np.array(qualifies))
    assert rounds.state_dict() == before


def test_restored_rounds_go_on_as_if_nothing_had_happened(tmp_path) -> None:
    rounds = Rounds(5, round_epochs=3)
    close(rounds, [0, 1, 2, 0, 1], [True, False, True, False, False])
    torch.save(rounds.state_dict(), tmp_path / "rounds.pt")
    other = Rounds(5, round_epochs=3)
    other.load_state_dict(torch.load(tmp_path / "rounds.pt", weights_only=True))
    for each in (rounds, other):
        close(each, [2, 1, 2, 0, 1], [True, True, True, False, False])
    assert other.state_dict() == rounds.state_dict()
    with pytest.raises(ValueError, match="contain 4 clips, got 5"):
        Rounds(4, round_epochs=3).load_state_dict(rounds.state_dict())
