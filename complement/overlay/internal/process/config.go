package process

import (
	_ "embed"
	"fmt"
	"path/filepath"
)

// What all servers under test have in common.
//
//go:embed server.toml
var commonConfig string

// config is the server's configuration: who and where it is, and what it has in common with all others.
func (s *server) config() string {
	return fmt.Sprintf(`server_name = %q
data_dir = %q

%s
[[listeners]]
address = "%s:%d"

[[listeners]]
address = "%s:%d"
tls = { certificate = %q, key = %q }
`,
		s.name, s.dataPath(),
		commonConfig,
		s.address, clientPort,
		s.address, federationPort, s.certificatePath(), s.keyPath())
}

func (s *server) dataPath() string        { return filepath.Join(s.folder, "data") }
func (s *server) configPath() string      { return filepath.Join(s.folder, "config.toml") }
func (s *server) certificatePath() string { return filepath.Join(s.folder, "server.crt") }
func (s *server) keyPath() string         { return filepath.Join(s.folder, "server.key") }
