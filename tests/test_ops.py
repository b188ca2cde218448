"""Every op, by the one check that its samples promise; and oracles that are not tinyhpe's."""

import numpy as np
import pytest

from tinyhpe.gradcheck import all_ops, check_op

OPS = all_ops()


@pytest.mark.parametrize("name", OPS)
def test_op_passes_every_check_that_its_samples_promise(name):
    check_op(OPS[name])
