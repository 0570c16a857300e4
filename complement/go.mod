module commonroom/complement

go 1.25.0

// Files for Complement's own module, which only compile there.
ignore ./overlay

require github.com/matrix-org/complement v0.0.0-20260701165844-50044edb68c3
