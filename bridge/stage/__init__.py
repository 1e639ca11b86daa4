"""What a performer adds to an order, the same for every door: session and stand-in."""
