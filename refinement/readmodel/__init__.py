"""Rows that the database derives from others by itself: the queue's, the counts, the word indexes.

Triggers write them in the transaction that causes them, so no service, worker or script can forget
to, and a bulk update is seen as well as a click. Migrations may rebuild tables and lose triggers,
so they are put up after each ``migrate`` (``install``), and entries that are missing are made.
"""
