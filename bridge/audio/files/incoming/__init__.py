"""Other people's audio files: what a file is, its streams in a form that libsndfile reads to the end, and decoding.

libsndfile believes headers: it stops where a header says that the audio ends, and takes one stream of a file that has
several. So each container is taken apart here, and what comes out has headers that are true. Everything in this folder
but ``kinds`` runs in the reader's child process alone.
"""
