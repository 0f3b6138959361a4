"""Bombs among good photos, through the whole system, under the deployed 2 CPUs and 2 GiB."""
