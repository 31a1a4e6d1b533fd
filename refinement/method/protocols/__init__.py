"""The ways to get a reflection out of a teacher, from one small question a turn to one JSON."""
