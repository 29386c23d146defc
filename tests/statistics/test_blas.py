import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from agrm_study.statistics.blas import one_blas_thread


def threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_has_one_thread_within_a_decorated_function_and_as_many_as_before_after_it():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        if max(before, default=1) < 2:
            pytest.skip("this BLAS has a single thread")
        assert set(one_blas_thread()(threads)()) == {1}
        assert threads() == before
