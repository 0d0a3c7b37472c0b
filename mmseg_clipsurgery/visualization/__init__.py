"""Everything drawn: colours, letters, panels, heat maps, keys."""
