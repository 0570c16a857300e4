package process

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"
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

[appservices]
folder = %q

[outgoing]
allowed_addresses = ["127.0.0.0/8", "::1"]
extra_certificate_authorities = [%q]
static_names = [%s]
resolve_names = false
`,
		s.name, s.dataPath(),
		commonConfig,
		s.address, clientPort,
		s.address, federationPort, s.certificatePath(), s.keyPath(),
		s.registrations(),
		s.authority, s.network())
}

// network says where the servers of the deployment are, those that do not run yet included. Every other name but that of
// this machine, where the tests' own servers are, is unknown at once: no test reaches the world outside.
func (s *server) network() string {
	var known []string
	for _, name := range names(maxServers) {
		known = append(known, fmt.Sprintf("{ name = %q, address = \"%s:%d\" }", name, s.addresses[name], federationPort))
	}
	return strings.Join(known, ", ")
}

func (s *server) dataPath() string        { return filepath.Join(s.folder, "data") }
func (s *server) configPath() string      { return filepath.Join(s.folder, "config.toml") }
func (s *server) certificatePath() string { return filepath.Join(s.folder, "server.crt") }
func (s *server) keyPath() string         { return filepath.Join(s.folder, "server.key") }
