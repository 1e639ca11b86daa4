"""Makes sounds and brings them to the people who play them."""

__version__ = "0.1.0"
