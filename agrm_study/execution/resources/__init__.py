"""Resources of trials and capacity of machines."""
