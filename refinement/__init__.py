"""Selective Reflection-Tuning (arXiv 2402.10110) with people in the loop."""
