"""Studies: many networks made alike, measured together, and what that says of FALCON's claims."""
