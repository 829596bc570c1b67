"""How often the gate is wrong, on clustered data whose truth is known. Seeds are fixed."""

from math import sqrt

from benchmarks.power import LOCOMO, rates


def test_without_a_difference_at_most_five_per_cent_of_suites_fail() -> None:
    # The margin is next to nothing, so that the test alone keeps the rate; 2.3 standard errors are simulation error.
    found = rates((9,) * 20, checks=12, margin=1e-9, suites=200, seed=1)
    assert found.any_failed <= 0.05 + 2.3 * sqrt(0.05 * 0.95 / found.suites)


def test_without_a_difference_the_margin_keeps_suites_of_locomos_size_green() -> None:
    assert rates(LOCOMO, checks=12, suites=40, seed=2).any_failed <= 0.05


def test_a_drop_of_five_hundredths_is_caught_on_locomo() -> None:
    assert sum(LOCOMO) == 1536 and len(LOCOMO) == 10
    assert rates(LOCOMO, drop=0.05, checks=12, suites=80, seed=3).first_failed >= 0.9
