"""How pages write what numbers and times there are; one folder for each language."""
