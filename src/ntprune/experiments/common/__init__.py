"""What experiments share: named pairs, commands as stages, records and their summary."""
