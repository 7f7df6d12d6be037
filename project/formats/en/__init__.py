"""English, with ISO 8601 dates: nobody has to guess which number is the month."""
