"""Reading, coding, filtering and pruning genotypes."""
