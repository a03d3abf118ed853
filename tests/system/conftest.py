# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests with real daemons: one lab per module."""
import os

import pytest

from lab import TOPOLOGIES, TRIANGLE, running_lab


@pytest.fixture(scope="session")
def root():
    """Real labs need root, or are asked for without it by name (test_rootless)."""
    if os.geteuid() != 0:
        pytest.skip("needs root: labs without root have tests of their own")


@pytest.fixture(scope="module")
def abilene(root):
    with running_lab(TOPOLOGIES / "abilene.yaml") as lab:
        yield lab


@pytest.fixture(scope="module")
def triangle(root):
    with running_lab(TRIANGLE) as lab:
        yield lab
