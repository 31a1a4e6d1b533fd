"""A package, as pytest starts and ends what is shared by one: the browser (`conftest.py`)."""
