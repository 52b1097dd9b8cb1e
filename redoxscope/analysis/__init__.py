"""Analysis on plain arrays: counts in, results with their σ out; a package per subject."""
