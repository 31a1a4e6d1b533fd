"""The verbs of the command ``srt``, a file a subject. Each file has ``add`` for the parser."""
