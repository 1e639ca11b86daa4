"""Building blocks of sound: every function takes and gives float64 arrays whose last axis is time at 44,100 Hz."""
