"""How a worker that is told to stop lets its loops know."""

import threading

# Set from a signal handler, so loops look at it now and then and never wait on it.
stopping = threading.Event()
