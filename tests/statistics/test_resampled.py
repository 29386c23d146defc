import math

import numpy as np
import pytest
from scipy import stats

from agrm_study.statistics.resampled import exact_floor, nadeau_bengio, sign_flip, wilcoxon


def test_five_pairs_cannot_go_below_one_sixteenth():
    assert exact_floor(5) == 0.0625
    for test in (sign_flip, wilcoxon):
        result = test([0.1, 0.2, 0.3, 0.4, 0.5])
        assert result.p == 0.0625
        assert result.at_floor


def test_sign_flips_are_scipys_permutation_test():
    d = np.array([0.3, -0.1, 0.25, 0.4, 0.02, -0.3])
    reference = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", vectorized=True, n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip(d).p == pytest.approx(reference.pvalue)
    assert not sign_flip(d).at_floor


def test_wilcoxon_of_no_differences_is_one():
    assert wilcoxon([0.0, 0.0, 0.0]).p == 1.0
    assert math.isnan(wilcoxon([]).p)


def test_nadeau_bengio_by_hand():
    # d = 1, 2, 3: mean 2, s² = 1, n_test/n_train = 1/4 → t = 2/√(1/3 + 1/4), 2 degrees of freedom.
    t, p = nadeau_bengio([1.0, 2.0, 3.0], n_train=400, n_test=100)
    assert t == pytest.approx(2 / math.sqrt(7 / 12))
    # The t distribution with 2 degrees of freedom has the closed form P(|T| > t) = 1 − t/√(2 + t²).
    assert p == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert math.isnan(nadeau_bengio([0.1, 0.1], 4, 1)[1])
    with pytest.raises(ValueError, match="positive"):
        nadeau_bengio([1, 2], 0, 1)


def test_with_no_overlap_correction_it_is_the_paired_t_test():
    d = np.array([0.1, 0.4, -0.2, 0.3])
    assert nadeau_bengio(d, n_train=10**9, n_test=1)[1] == pytest.approx(stats.ttest_1samp(d, 0).pvalue, rel=1e-6)
