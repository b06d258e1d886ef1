"""What a fitted model says about loci, pairs and traits."""
