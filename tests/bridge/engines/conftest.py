"""What the tests of engines share."""

from tests.servers import installed  # noqa: F401  a fixture
