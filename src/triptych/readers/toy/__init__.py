"""A small synthetic study with a known truth: tissue, cells, counts and stained images, from one seed."""
