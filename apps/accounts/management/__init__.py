"""The commands of the operator that concern accounts."""
