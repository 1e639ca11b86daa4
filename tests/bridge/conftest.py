"""What the tests of the bridge share."""

from tests.servers import installed  # noqa: F401  a fixture
