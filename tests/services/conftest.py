"""Runs need a student and somebody to hear their messages: the pipeline's fixtures serve here."""

from tests.pipeline.conftest import student_path, wakes

__all__ = ["student_path", "wakes"]
