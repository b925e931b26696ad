"""One file per target, each with the same four names.

`READS`: packages, or modules by their full name, whose branches guide the search.
`WORDS`: what the format spells out.
`seeds()`: good files. `mutated(data, rng)`: a damage that the format's own checks let pass; it may
raise on what is no longer of its format, which is then damaged as mere bytes.
`one_input(data)`: reads a file; it returns on a result and on a refusal in one clear sentence, and
lets everything else through, which is a finding.
"""
