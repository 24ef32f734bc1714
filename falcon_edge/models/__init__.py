"""The networks of the paper and the small one of the demo, and the sources of users' own networks."""
