"""The watch over the data folder's disk: it sees what a disk does, waits for nothing, and writes nothing by itself."""
