//go:build pin

// Package complement pins the version of Complement that judges this server: the import keeps its line in go.mod.
package complement

import _ "github.com/matrix-org/complement/b"
