"""Services: many recorders, kept running, watched and told of."""
