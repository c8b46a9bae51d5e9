"""Refusals in words."""

import pickle

import pytest

from gridstorm.error import Problem, UserError, closest, did_you_mean, exit_on_error


def test_a_problem_is_what_was_given_a_fact_and_a_remedy() -> None:
    problem = Problem("optimizer.lr=-1", "It must be greater than 0.", "Try optimizer.lr=0.001.")
    assert str(problem) == "optimizer.lr=-1: It must be greater than 0. Try optimizer.lr=0.001."
    assert problem.path == "optimizer.lr"


def test_a_refusal_lists_each_problem_once() -> None:
    one, two = Problem("a=1", "It is wrong.", "Remove it."), Problem("b=1", "It is wrong.", "Remove it.")
    assert str(UserError([one])).startswith("Nothing was started, for one problem:\n  * a=1: ")
    assert str(UserError([one, two, one])).splitlines()[0] == "Nothing was started, for 2 problems:"
    assert UserError([one, two, one]).problems == [one, two]


def test_a_close_name_is_suggested_and_otherwise_the_names_are_listed() -> None:
    assert did_you_mean("cn", ["cnn", "mlp"]) == "Did you mean 'cnn'?"
    assert did_you_mean("xyz", ["mlp", "cnn"]) == "Choose one of: cnn, mlp."
    assert did_you_mean("xyz", []) == "Remove it."
    assert did_you_mean("xyz", map(str, range(100))) == "Remove it."


def test_a_second_name_is_suggested_only_where_it_is_about_as_close() -> None:
    assert closest("rellu", ["relu", "gelu"]) == ["relu"]
    assert closest("modle", ["mode", "model"]) == ["mode", "model"]
    assert closest("ADAM", ["Adam", "SGD"]) == ["Adam"]


def test_a_refusal_ends_with_status_2_and_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exit_on_error():
        raise UserError([Problem("a=1", "It is wrong.", "Remove it.")])
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "Nothing was started, for one problem:\n  * a=1: It is wrong. Remove it.\n"


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), exit_on_error():
        _ = 1 / 0


def test_a_refusal_in_a_worker_process_arrives_whole() -> None:
    refusal = UserError([Problem("a=1", "It is wrong.", "Remove it."), Problem("b=1", "It is wrong.", "Remove it.")])
    again = pickle.loads(pickle.dumps(refusal))
    assert again.problems == refusal.problems and str(again) == str(refusal)
