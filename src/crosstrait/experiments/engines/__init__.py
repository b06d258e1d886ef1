"""What carries searches and groups of runs to processors: this machine, Slurm, Ray, Modal."""
