"""Who makes a study's runs: this process, several processes here, or an engine of somebody else."""
