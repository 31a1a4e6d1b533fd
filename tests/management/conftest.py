"""Commands work with the pipeline's tiny student."""

from tests.pipeline.conftest import student_path, wakes

__all__ = ["student_path", "wakes"]
