"""A package, as pytest starts and ends what is shared by one (`conftest.py`)."""
