"""What bench/search_*.py need: queries, cases, contenders, structures, and a page of results."""
