"""Audio in files: codecs, dither, tags, provenance, delivery formats, the limited reader of foreign files."""
