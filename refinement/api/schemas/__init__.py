"""What the API takes and gives, by subject. Names and units are those of the models."""
