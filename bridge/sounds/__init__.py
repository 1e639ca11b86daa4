"""What is asked for becomes a sound that is kept: asking, making, publishing, finding. Knows no door."""
