"""Trivial checks for ReFrame, as many as BENCHMARK_CASES says."""

import os

import reframe as rfm
import reframe.utility.sanity as sn


@rfm.simple_test
class Trivial(rfm.RunOnlyRegressionTest):
    """Passes if the payload's check does."""

    number = parameter(range(int(os.environ["BENCHMARK_CASES"])))  # noqa: F821 - ReFrame's own
    valid_systems = ["*"]  # noqa: RUF012 - as ReFrame wants it
    valid_prog_environs = ["*"]  # noqa: RUF012
    sourcesdir = None
    executable = os.environ["BENCHMARK_PAYLOAD"]

    @sanity_function  # noqa: F821
    def alive(self):
        """Find the check's line."""
        return sn.assert_found('"name": "alive", "ok": true', self.stdout)
