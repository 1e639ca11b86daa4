"""The bridge watches itself: figures for Prometheus, the log of who asked for what, the GPU."""
