"""The paper. No Django, no Celery, no database, no files: plain values in, plain values out."""
