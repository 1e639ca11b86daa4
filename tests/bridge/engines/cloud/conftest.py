"""What the tests of cloud engines share."""

from tests.provider import stage  # noqa: F401  a fixture
