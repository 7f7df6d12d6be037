"""The commands of the work orders app."""
