"""The paper's figures and tables and ours, one file each, built from the verbs."""
