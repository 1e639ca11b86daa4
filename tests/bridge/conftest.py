"""What the tests of the bridge share."""

from tests.object_storage import azurite, bucket, s3  # noqa: F401  fixtures
from tests.servers import installed  # noqa: F401  a fixture
